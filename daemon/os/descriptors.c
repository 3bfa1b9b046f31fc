// A count against RLIMIT_NOFILE, which is read each time as others may change it (prlimit(2)).
#include "daemon/os/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "common/util.h"

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

void descriptors_keep(int *fds, size_t count) {
    unsigned from = 3;
    qsort(fds, count, sizeof(*fds), compare);
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < (int)from)
            continue;
        if (fds[i] > (int)from)
            close_range(from, (unsigned)fds[i] - 1, 0);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        from = (unsigned)fds[i] + 1;
    }
    close_range(from, ~0U, 0);
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
