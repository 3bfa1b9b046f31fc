// Calls that fail on demand.
#include "tests/unit/os/fault.h"

#include <check.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"

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
    ASK(SYS_prlimit64),
    ASK(SYS_chdir),
    ASK(SYS_execve),
    ASK(SYS_execveat),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
    LOAD(args[2]),
    ASK(1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void pass_descriptor(int to, int fd) {
    char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    ck_assert_int_eq(sendmsg(to, &message, 0), 1);
}

static int take_descriptor(int from) {
    char space[CMSG_SPACE(sizeof(int))] = {0}, byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    int fd = -1;
    if (recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

// Answers until nobody is left who could ask.
static _Noreturn void answer_main(int listener) {
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    while (poll(&waiting, 1, -1) > 0 && !(waiting.revents & POLLHUP)) {
        struct seccomp_notif asked = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
            continue;
        int nth = atomic_load(&shared->nth);
        bool fails = nth > 0 && atomic_fetch_add(&shared->count, 1) + 1 == nth;
        struct seccomp_notif_resp answer = {
            .id = asked.id, .error = fails ? -EMFILE : 0, .flags = fails ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    _exit(0);
}

bool fault_open(void) {
    int ends[2], listener;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        if (fork() > 0) // no child of the process under test
            _exit(0);
        close(ends[0]);
        listener = take_descriptor(ends[1]);
        if (listener >= 0)
            answer_main(listener);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    close(ends[1]);
    const struct sock_fprog program = {ARRAY_SIZE(filter), (struct sock_filter *)(uintptr_t)filter};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) {
        printf("SKIPPED: calls that fail on demand: seccomp: %s\n", strerror(errno));
        close(ends[0]);
        return false;
    }
    pass_descriptor(ends[0], listener);
    close(listener);
    close(ends[0]);
    return true;
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
