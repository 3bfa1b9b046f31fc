// A count against RLIMIT_NOFILE, which is read each time as others may change it (prlimit(2)).
#include "daemon/os/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>

#include "common/util.h"

enum { FOR_CLIENTS = 64 }; // at most

int64_t descriptors_limit(void) {
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT32_MAX;
    return known ? (int64_t)limit.rlim_cur : INT32_MAX;
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
