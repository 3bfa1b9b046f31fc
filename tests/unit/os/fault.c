// Calls that fail on demand.
#include "tests/unit/os/fault.h"

#include <check.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/util.h"
#include "tests/asked.h"

struct shared {
    _Atomic int nth, count;
};
static struct shared *shared;

#define ASK(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

// Of writes those of one byte, which are a child's to a file of the kernel.
static const struct sock_filter filter[] = {
    LOAD(nr),
    ASK(SYS_pipe2),
    ASK(SYS_socketpair),
    ASK(SYS_clone),
    ASK(SYS_clone3),
    ASK(SYS_openat),
    ASK(SYS_mkdirat),
    ASK(SYS_fcntl),
    ASK(SYS_pidfd_open),
    ASK(SYS_close_range),
    ASK(SYS_prlimit64),
    ASK(SYS_chdir),
    ASK(SYS_execve),
    ASK(SYS_execveat),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
    LOAD(args[2]),
    ASK(1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

// In the process that is asked.
static int fails(const struct seccomp_notif *asked) {
    int nth = atomic_load(&shared->nth);
    return nth > 0 && atomic_fetch_add(&shared->count, 1) + 1 == nth ? FAULT_ERRNO : 0;
}

bool fault_open(void) {
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    int r = asked_open(&(struct sock_fprog){ARRAY_SIZE(filter), (struct sock_filter *)(uintptr_t)filter}, fails);
    if (r < 0)
        printf("SKIPPED: calls that fail on demand: seccomp: %s\n", strerror(-r));
    return r == 0;
}

void fault_arm(int nth) {
    atomic_store(&shared->nth, 0);
    atomic_store(&shared->count, 0);
    atomic_store(&shared->nth, nth);
}

bool fault_happened(void) {
    int nth = atomic_load(&shared->nth);
    return nth > 0 && atomic_load(&shared->count) >= nth;
}
