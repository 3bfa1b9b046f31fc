// A count against RLIMIT_NOFILE, which is read each time as others may change it (prlimit(2)).
#include "daemon/os/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/closing.h"
#include "common/util.h"
#include "daemon/os/closer.h"

enum { FOR_CLIENTS = 64 }; // at most

int64_t descriptors_limit(void) {
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT32_MAX;
    return known ? (int64_t)limit.rlim_cur : INT32_MAX;
}

static int compare(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

// Of what others passed some may linger (that wait a signal ends) and some may hang.
static void close_rest(DIR *dir, const int *kept, size_t count) {
    int hanging[CLOSER_AT_ONCE];
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        int fd = atoi(e->d_name);
        if (fd < 3 || fd == dirfd(dir) || bsearch(&fd, kept, count, sizeof(fd), compare))
            continue;
        if (!closing_may_hang(fd)) {
            close(fd);
            continue;
        }
        if (n == ARRAY_SIZE(hanging)) {
            closer_close(hanging, n);
            n = 0;
        }
        hanging[n++] = fd;
    }
    closer_close(hanging, n);
}

// Where there is no descriptor left to look with.
static void close_all_rest(const int *kept, size_t count) {
    unsigned from = 3;
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > (int)from)
            close_range(from, (unsigned)kept[i] - 1, 0);
        from = MAX(from, (unsigned)kept[i] + 1);
    }
    close_range(from, ~0U, 0);
}

void descriptors_keep(int *fds, size_t count) {
    sigset_t alarm, before;
    DIR *dir = opendir("/proc/self/fd");
    qsort(fds, count, sizeof(*fds), compare);
    for (size_t i = 0; i < count; i++)
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, &before);
    closing_clock_start();
    if (dir)
        close_rest(dir, fds, count);
    else
        close_all_rest(fds, count);
    closing_clock_stop();
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (dir)
        closedir(dir);
}

void descriptors_init(struct descriptors *d, int64_t reserve) {
    d->taken = reserve;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        d->taken++;
    if (dir)
        closedir(dir);
}

int descriptors_take(struct descriptors *d, int64_t count, int64_t spare) {
    if (d->taken + count + spare > descriptors_limit())
        return -EMFILE;
    d->taken += count;
    return 0;
}

void descriptors_give(struct descriptors *d, int64_t count) {
    d->taken -= count;
}

int64_t descriptors_for_clients(void) {
    return MIN(descriptors_limit() / 8, (int64_t)FOR_CLIENTS);
}
