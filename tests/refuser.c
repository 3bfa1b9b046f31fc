// refuser FILE PROGRAM [ARGUMENT]...: runs the program, of whose system calls the N-th of a kind fails, be they libc's, a
// library's, an assembler's or a child's that has not exec'ed yet; but not those of what it executes.
//
// FILE: a struct calls. Exits with 77 where the kernel won't.
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/asked.h"
#include "tests/calls.h"

enum { SKIPPED = 77 };

static const struct call {
    int number, kind, error;
    const char *name;
} known[] = {
#define CALL(name, kind, error) \
    { SYS_##name, CALLS_##kind, error, #name }
    CALL(pipe2, DESCRIPTORS, EMFILE),
    CALL(socketpair, DESCRIPTORS, EMFILE),
    CALL(accept4, DESCRIPTORS, EMFILE),
    CALL(openat, DESCRIPTORS, EMFILE),
    CALL(memfd_create, DESCRIPTORS, EMFILE),
    CALL(eventfd2, DESCRIPTORS, EMFILE),
    CALL(epoll_create1, DESCRIPTORS, EMFILE),
    CALL(timerfd_create, DESCRIPTORS, EMFILE),
    CALL(inotify_init1, DESCRIPTORS, EMFILE),
    CALL(pidfd_open, DESCRIPTORS, EMFILE),
    CALL(dup3, DESCRIPTORS, EMFILE),
    CALL(fcntl, DESCRIPTORS, EMFILE),
    CALL(clone, PROCESSES, EAGAIN),
    CALL(clone3, PROCESSES, EAGAIN),
    CALL(setsid, PROCESSES, EPERM),
    CALL(chdir, PROCESSES, EACCES),
    CALL(close_range, PROCESSES, ENOMEM),
    CALL(execve, PROCESSES, ENOMEM),
    CALL(execveat, PROCESSES, ENOMEM),
    CALL(sendto, SENDING, ENOBUFS),
    CALL(sendmsg, SENDING, ENOBUFS),
    CALL(recvfrom, RECEIVING, ENOMEM),
    CALL(recvmsg, RECEIVING, ENOMEM),
    CALL(write, WRITING, ENOSPC),
    CALL(writev, WRITING, ENOSPC),
    CALL(pwrite64, WRITING, ENOSPC),
    CALL(sendfile, WRITING, ENOSPC),
    CALL(fsync, SYNCING, EIO),
    CALL(fdatasync, SYNCING, EIO),
    CALL(syncfs, SYNCING, EIO),
    CALL(mkdirat, WRITING, ENOSPC),
    CALL(renameat2, WRITING, ENOSPC),
    CALL(mmap, SPACE, ENOMEM),
    CALL(mremap, SPACE, ENOMEM),
    CALL(ftruncate, SPACE, ENOSPC),
    CALL(fallocate, SPACE, ENOSPC),
    CALL(epoll_ctl, WATCHING, ENOMEM),
    CALL(inotify_add_watch, WATCHING, ENOSPC),
    CALL(timerfd_settime, WATCHING, ENOMEM),
#ifdef SYS_mkdir // what newer machines do not have
    CALL(mkdir, WRITING, ENOSPC),
    CALL(rename, WRITING, ENOSPC),
    CALL(open, DESCRIPTORS, EMFILE),
#endif
};
enum { KNOWN = sizeof(known) / sizeof(known[0]) };

static struct calls *calls;
static struct stat program;

// Where the process has the descriptor, "" without one.
static void file_of(pid_t pid, unsigned long long fd, char *ret_path, size_t size) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, (int)fd);
    ssize_t n = readlink(link, ret_path, size - 1);
    ret_path[n > 0 ? n : 0] = 0;
}

// It has not executed something else. Of a file that may not be looked at nobody else's is told.
static bool is_ours(pid_t pid) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    return stat(path, &st) < 0 || (st.st_dev == program.st_dev && st.st_ino == program.st_ino);
}

// Calls that do not fail in this way: a wake-up by an eventfd, an end of watching, a flag.
static bool is_spared(const struct seccomp_notif *asked, const char *file) {
    const __u64 *args = asked->data.args;
    switch (asked->data.nr) {
    case SYS_write:
        return strstr(file, "[eventfd]") != NULL;
    case SYS_epoll_ctl:
        return args[1] == EPOLL_CTL_DEL;
    case SYS_fcntl:
        return args[1] != F_DUPFD && args[1] != F_DUPFD_CLOEXEC;
    default:
        return false;
    }
}

static int fails(const struct seccomp_notif *asked) {
    const struct call *call = known;
    while (call->number != asked->data.nr)
        call++; // the filter asks about these alone
    if (!(calls->kinds & call->kind) || calls->nth == 0)
        return 0;
    char file[60] = "";
    if (call->kind != CALLS_PROCESSES)
        file_of((pid_t)asked->pid, asked->data.args[call->kind == CALLS_WATCHING ? 2 : 0], file, sizeof(file));
    if (is_spared(asked, file) || !is_ours((pid_t)asked->pid) || !calls_fails(calls, call->kind))
        return 0;
    snprintf(calls->what, sizeof(calls->what), "%s %s", call->name, file);
    return call->error;
}

int main(int argc, char **argv) {
    struct sock_filter code[2 * KNOWN + 2] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short count = 1;
    for (int i = 0; i < KNOWN; i++) {
        code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)known[i].number, 0, 1);
        code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    code[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (argc < 3)
        return 2;
    int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    calls = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (calls == MAP_FAILED || stat(argv[2], &program) < 0) {
        perror(argv[1]);
        return 2;
    }
    int r = asked_open(&(struct sock_fprog){count, code}, fails);
    if (r < 0) {
        fprintf(stderr, "refuser: seccomp: %s\n", strerror(-r));
        return SKIPPED;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
