// Reading and writing a cgroup's files.
#include "daemon/os/cgroup_file.h"

#include <fcntl.h>

#include "common/util.h"

ssize_t cgroup_file_read(int dir, const char *name, char *text, size_t size) {
    text[0] = 0;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, size - 1);
    n = n < 0 ? -errno : n;
    close(fd);
    text[MAX(n, 0)] = 0;
    return n;
}

ssize_t cgroup_file_again(int fd, char *text, size_t size) {
    ssize_t n = pread(fd, text, size - 1, 0);
    n = n < 0 ? -errno : n;
    text[MAX(n, 0)] = 0;
    return n;
}

int cgroup_file_write(int dir, const char *name, const char *text) {
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return r;
}
