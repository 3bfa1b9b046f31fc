// Looking at processes.
#include "tests/unit/os/watch.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/os/sweep.h"

int watch_descriptors(void) {
    int count = -1; // the one that looks
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

int watch_threads(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

void watch_until_threads(int count) {
    while (watch_threads() != count)
        sched_yield();
}

char watch_state(pid_t pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return 0;
    const char *name_end = strrchr(text, ')');
    if (!name_end)
        return 0;
    return name_end[2];
}

bool watch_alive(pid_t pid) {
    char state = watch_state(pid);
    return state != 0 && state != 'Z' && state != 'X';
}

void watch_until_gone(pid_t pid) {
    while (watch_alive(pid))
        sched_yield();
}

void watch_until(pid_t pid, char state) {
    while (watch_state(pid) != state)
        sched_yield();
}

size_t watch_children(void) {
    pid_t pids[256];
    size_t direct = 0, count = sweep_list(getpid(), pids, ARRAY_SIZE(pids));
    for (size_t i = 0; i < count; i++)
        direct += sweep_parent(pids[i]) == getpid();
    return direct;
}

// The pipes under test do not block.
static ssize_t read_waiting(int fd, char *data, size_t size) {
    for (;;) {
        ssize_t n = read(fd, data, size);
        if (n >= 0)
            return n;
        ck_assert_msg(errno == EAGAIN || errno == EINTR, "read: %s", strerror(errno));
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        poll(&waiting, 1, -1);
    }
}

size_t watch_read(int fd, char *text, size_t size) {
    size_t have = 0;
    ssize_t n;
    while (have < size - 1 && (n = read_waiting(fd, text + have, size - 1 - have)) > 0)
        have += (size_t)n;
    text[have] = 0;
    return have;
}

void watch_line(int fd, char *line, size_t size) {
    size_t have = 0;
    while (have < size - 1 && read_waiting(fd, line + have, 1) == 1 && line[have] != '\n')
        have++;
    line[have] = 0;
}
