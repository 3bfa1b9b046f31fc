// faults: a library to be loaded before others, that makes calls on files below some directories fail.
//
// SUPD_FAULT_BELOW: the directories, with ':' between them; SUPD_FAULT_AT: which such call of a process fails first, from 1;
// SUPD_FAULT_TIMES: how many do; SUPD_FAULT_ERRNO: with what, 0 for a write that takes one byte only. SUPD_FAULT_READS: a
// file; as long as it is there reads at an offset fail with ESTALE (of EIO SQLite says that the file is damaged).
// SUPD_FAULT_SIGNALS: calls that a signal may interrupt are interrupted.
#undef _FILE_OFFSET_BITS // both names of each call are here
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static int below(const char *path) {
    const char *list = getenv("SUPD_FAULT_BELOW");
    while (list && *list) {
        size_t n = strcspn(list, ":");
        if (strncmp(path, list, n) == 0)
            return 1;
        list += n + (list[n] == ':');
    }
    return 0;
}

static int fd_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return 0;
    path[n] = 0;
    return below(path);
}

// Whether this call fails: -1: not; else the errno.
static int fault(void) {
    const char *at = getenv("SUPD_FAULT_AT"), *times = getenv("SUPD_FAULT_TIMES"), *error = getenv("SUPD_FAULT_ERRNO");
    long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST), first = at ? atol(at) : 0;
    if (first <= 0 || n < first || n >= first + (times ? atol(times) : 1))
        return -1;
    return error ? atoi(error) : EIO;
}

// Linux before 6.10 gives up an allocation on tmpfs once a signal is there: always, unless they are blocked.
static int interrupts_allocation(int fd) {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    return getenv("SUPD_FAULT_SIGNALS") && fd_below(fd) && !sigismember(&blocked, SIGCHLD);
}

static int interrupts_copy(int fd) {
    static __thread int turns;
    return getenv("SUPD_FAULT_SIGNALS") && fd_below(fd) && ++turns % 2;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

#define FAIL_FD(fd)                               \
    do {                                          \
        int error_ = fd_below(fd) ? fault() : -1; \
        if (error_ >= 0) {                        \
            errno = error_ > 0 ? error_ : ENOSPC; \
            return -1;                            \
        }                                         \
    } while (0)

static ssize_t some(int fd, size_t *size) {
    int error = fd_below(fd) ? fault() : -1;
    if (error < 0)
        return 0;
    if (error == 0 && *size > 1) {
        *size = 1; // short
        return 0;
    }
    errno = error > 0 ? error : ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *data, size_t size) {
    return some(fd, &size) < 0 ? -1 : REAL(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return some(fd, &size) < 0 ? -1 : REAL(pwrite64)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return some(fd, &size) < 0 ? -1 : REAL(pwrite)(fd, data, size, at);
}

static int fails_reads(int fd) {
    const char *path = getenv("SUPD_FAULT_READS");
    return path && fd_below(fd) && access(path, F_OK) == 0;
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
    errno = ESTALE;
    return fails_reads(fd) ? -1 : REAL(pread64)(fd, data, size, at);
}

ssize_t pread(int fd, void *data, size_t size, off_t at) {
    errno = ESTALE;
    return fails_reads(fd) ? -1 : REAL(pread)(fd, data, size, at);
}

int fsync(int fd) {
    FAIL_FD(fd);
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    FAIL_FD(fd);
    return REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size) {
    FAIL_FD(fd);
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    FAIL_FD(fd);
    return REAL(ftruncate64)(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
    int error = interrupts_allocation(fd) ? EINTR : fd_below(fd) ? fault() : -1;
    return error >= 0 ? (error > 0 ? error : ENOSPC) : REAL(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    int error = interrupts_allocation(fd) ? EINTR : fd_below(fd) ? fault() : -1;
    return error >= 0 ? (error > 0 ? error : ENOSPC) : REAL(posix_fallocate64)(fd, at, size);
}

ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    int error = interrupts_copy(out) ? EINTR : fd_below(out) ? fault() : -1;
    if (error >= 0) {
        errno = error > 0 ? error : ENOSPC;
        return -1;
    }
    return REAL(sendfile)(out, in, at, size);
}

int rename(const char *from, const char *to) {
    int error = below(to) ? fault() : -1;
    if (error >= 0) {
        errno = error > 0 ? error : ENOSPC;
        return -1;
    }
    return REAL(rename)(from, to);
}

static int make(const char *path, int flags) {
    int error = (flags & O_CREAT) && below(path) ? fault() : -1;
    if (error < 0)
        return 0;
    errno = error > 0 ? error : ENOSPC;
    return -1;
}

int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return make(path, flags) < 0 ? -1 : REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return make(path, flags) < 0 ? -1 : REAL(open)(path, flags, mode);
}

static int make_at(int dir, int flags) {
    int error = (flags & O_CREAT) && fd_below(dir) ? fault() : -1;
    if (error < 0)
        return 0;
    errno = error > 0 ? error : ENOSPC;
    return -1;
}

int openat(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return make_at(dir, flags) < 0 ? -1 : REAL(openat)(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return make_at(dir, flags) < 0 ? -1 : REAL(openat64)(dir, path, flags, mode);
}
