// calls: a library to be loaded before others, in which the N-th call of a kind fails, whatever of the process makes it.
//
// SUPD_CALLS: a file of a struct calls, which whoever tests has mapped too: so that it can be armed and disarmed while the
// process runs. Without it nothing fails. Calls that libc makes itself are not seen, but for its memory; neither is the
// clone of the fast spawn, whose failures the launcher's own tests go through.
#undef _FILE_OFFSET_BITS // both names of each call are here
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

// In the order of tests/e2e/failing.py.
enum {
    MEMORY = 1,
    DESCRIPTORS = 2,
    SENDING = 4,
    RECEIVING = 8,
    SPACE = 16,
    WATCHING = 32,
    PROCESSES = 64,
    WRITING = 128
};

static struct calls {
    int32_t kinds, nth, count, has_failed; // nth: from 1; 0: none
    char what[100];                        // the call that failed, and on which file
} none, *calls;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SUPD_CALLS");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    if (fd >= 0) {
        map = (void *)syscall(SYS_mmap, NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        syscall(SYS_close, fd);
    }
    calls = map == MAP_FAILED ? &none : map;
}

static int fails(int kind) {
    if (!calls || !(calls->kinds & kind) || calls->nth == 0)
        return 0;
    if (__atomic_add_fetch(&calls->count, 1, __ATOMIC_SEQ_CST) != calls->nth)
        return 0;
    calls->has_failed = 1;
    return 1;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))
static void note(const char *function, int fd) {
    char link[32], path[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = fd < 0 ? 0 : readlink(link, path, sizeof(path) - 1);
    snprintf(calls->what, sizeof(calls->what), "%s %.*s", function, n < 0 ? 0 : (int)n, path);
}

#define FAIL_ON(fd, kind, error, failure) \
    do {                                  \
        if (fails(kind)) {                \
            note(__func__, fd);           \
            errno = (error);              \
            return failure;               \
        }                                 \
    } while (0)
#define FAIL(kind, error, failure) FAIL_ON(-1, kind, error, failure)

void *malloc(size_t size) {
    FAIL(MEMORY, ENOMEM, NULL);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    FAIL(MEMORY, ENOMEM, NULL);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    FAIL(MEMORY, ENOMEM, NULL);
    return __libc_realloc(old, size);
}

int pipe2(int ends[2], int flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(pipe2)(ends, flags);
}

int socketpair(int domain, int type, int protocol, int ends[2]) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(socketpair)(domain, type, protocol, ends);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(accept4)(fd, address, size, flags);
}

int eventfd(unsigned count, int flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(eventfd)(count, flags);
}

int memfd_create(const char *name, unsigned flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(memfd_create)(name, flags);
}

int epoll_create1(int flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(epoll_create1)(flags);
}

int dup3(int from, int to, int flags) {
    FAIL(DESCRIPTORS, EMFILE, -1);
    return REAL(dup3)(from, to, flags);
}

#define OPEN(name, ...)                                         \
    va_list args;                                               \
    va_start(args, flags);                                      \
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0; \
    va_end(args);                                               \
    FAIL(DESCRIPTORS, EMFILE, -1);                              \
    return REAL(name)(__VA_ARGS__, flags, mode)

int open(const char *path, int flags, ...) {
    OPEN(open, path);
}

int open64(const char *path, int flags, ...) {
    OPEN(open64, path);
}

int openat(int dir, const char *path, int flags, ...) {
    OPEN(openat, dir, path);
}

int openat64(int dir, const char *path, int flags, ...) {
    OPEN(openat64, dir, path);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
    FAIL_ON(fd, SENDING, ENOBUFS, -1);
    return REAL(send)(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    FAIL_ON(fd, SENDING, ENOBUFS, -1);
    return REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t size, int flags) {
    FAIL_ON(fd, RECEIVING, ENOMEM, -1);
    return REAL(recv)(fd, data, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    FAIL_ON(fd, RECEIVING, ENOMEM, -1);
    return REAL(recvmsg)(fd, message, flags);
}

// To an eventfd it never fails but when it is full.
static int is_wakeup(int fd) {
    struct stat st;
    int saved = errno, r = fstat(fd, &st);
    errno = saved;
    return r == 0 && (st.st_mode & S_IFMT) == 0;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!is_wakeup(fd))
        FAIL_ON(fd, WRITING, ENOSPC, -1);
    return REAL(write)(fd, data, size);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    FAIL(SPACE, ENOMEM, MAP_FAILED);
    return REAL(mmap)(at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset) {
    FAIL(SPACE, ENOMEM, MAP_FAILED);
    return REAL(mmap64)(at, size, protection, flags, fd, offset);
}

int ftruncate(int fd, off_t size) {
    FAIL_ON(fd, SPACE, ENOSPC, -1);
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    FAIL_ON(fd, SPACE, ENOSPC, -1);
    return REAL(ftruncate64)(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
    FAIL_ON(fd, SPACE, ENOSPC, ENOSPC);
    return REAL(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    FAIL_ON(fd, SPACE, ENOSPC, ENOSPC);
    return REAL(posix_fallocate64)(fd, at, size);
}

int epoll_ctl(int fd, int what, int of, struct epoll_event *event) {
    if (what != EPOLL_CTL_DEL)
        FAIL_ON(of, WATCHING, ENOMEM, -1);
    return REAL(epoll_ctl)(fd, what, of, event);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask) {
    FAIL(WATCHING, ENOSPC, -1);
    return REAL(inotify_add_watch)(fd, path, mask);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old) {
    FAIL(WATCHING, ENOMEM, -1);
    return REAL(timerfd_settime)(fd, flags, value, old);
}

// What has no name of its own in libc, or is to go past it: of a child before its exec too.
long syscall(long number, ...) {
    static __typeof__(&syscall) real;
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (!real)
        real = REAL(syscall);
    if (number == SYS_clone || number == SYS_pidfd_open || number == SYS_pipe2 || number == SYS_openat ||
        number == SYS_dup3 || number == SYS_chdir || number == SYS_close_range || number == SYS_setsid)
        FAIL(PROCESSES, EAGAIN, -1);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
