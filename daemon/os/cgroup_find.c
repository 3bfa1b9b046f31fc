// Finding and trying a cgroup v2 hierarchy.
#include "daemon/os/cgroup_find.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/cgroup_control.h"

// Spaces and the like are written in octal there.
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned value = 0;
        int read = 0;
        if (sscanf(from, "\\%3o%n", &value, &read) == 1 && read == 4) {
            *to = (char)value;
            from += read;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
}

// The mount point of a cgroup2 file system, from mountinfo (proc(5)): "... MOUNTPOINT ... - cgroup2 ...".
static int find_mount(char mount[PATH_MAX]) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    int r = -ENOENT;
    while (file && r < 0 && getline(&line, &size, file) > 0) {
        if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %4095s", mount) == 1)
            r = 0;
    }
    if (r == 0)
        unescape(mount);
    free(line);
    if (file)
        fclose(file);
    return r;
}

// The daemon's own place: the line "0::/path". From a cgroup that is for itself alone its jobs' is beside it.
int cgroup_find_own(char own[PATH_MAX]) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    int r = -ENOENT;
    while (file && r < 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = 0;
            char *last = strrchr(line, '/');
            if (streq(last, "/" CGROUP_MAIN))
                *last = 0;
            strcpy(own, streq(line + 3, "/") ? "" : line + 3);
            r = 0;
        }
    if (file)
        fclose(file);
    return r;
}

int cgroup_find(const char *name, char **ret_path, char why[160]) {
    char mount[PATH_MAX], own[PATH_MAX];
    _cleanup_free_ char *path = NULL;
    if (find_mount(mount) < 0 || cgroup_find_own(own) < 0) {
        snprintf(why, 160, "no cgroup v2 hierarchy is mounted");
        return -ENOENT;
    }
    if (asprintf(&path, "%s%s/%s", mount, own, name) < 0)
        return -ENOMEM;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        int r = -errno;
        snprintf(why, 160, "%.100s: %s", path, strerror(-r));
        return r;
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}

static int put(int dir, const char *name, long value) {
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld", value);
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = write(fd, text, (size_t)n) < 0 ? -errno : 0;
    close(fd);
    return r;
}

int cgroup_try(int dir, char why[160]) {
    int r = mkdirat(dir, "probe", 0755) < 0 && errno != EEXIST ? -errno : 0;
    pid_t self = getpid(), child = r == 0 ? fork() : -1;
    if (r == 0 && child < 0)
        r = -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // a worker that is killed just now leaves nobody behind
        while (getppid() == self)
            pause();
        _exit(1);
    }
    if (child > 0) {
        r = put(dir, "probe/cgroup.procs", child);
        if (r == 0)
            r = put(dir, "probe/cgroup.kill", 1);
        if (r < 0)
            kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    unlinkat(dir, "probe", AT_REMOVEDIR);
    if (r < 0)
        snprintf(why, 160, "a process cannot be moved or killed by cgroup: %s", strerror(-r));
    return r;
}
