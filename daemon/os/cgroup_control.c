// Controllers, limits and usage of cgroups.
#include "daemon/os/cgroup_control.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/os/cgroup_file.h"

static const struct {
    const char *name;
    unsigned flag;
} controllers[] = {{"memory", CGROUP_MEMORY}, {"pids", CGROUP_PIDS}, {"cpu", CGROUP_CPU}, {"io", CGROUP_IO}};

static unsigned flags_of(int dir, const char *file) {
    char text[512], *save = NULL;
    unsigned flags = 0;
    cgroup_file_read(dir, file, text, sizeof(text));
    for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
            flags |= streq(word, controllers[i].name) ? controllers[i].flag : 0;
    return flags;
}

// One by one: what can't be had does not keep the others away. Returns 0, or the last failure.
static int hand_down(int dir, unsigned flags) {
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        char text[16];
        snprintf(text, sizeof(text), "+%s", controllers[i].name);
        int one = flags & controllers[i].flag ? cgroup_file_write(dir, "cgroup.subtree_control", text) : 0;
        r = one < 0 ? one : r;
    }
    return r;
}

static bool ends_with(const char *text, size_t length, const char *end) {
    return length >= strlen(end) && strncmp(text + length - strlen(end), end, strlen(end)) == 0;
}

// Whether a service manager made the cgroup that holds `path`.
static bool is_managed(const char *path) {
    const char *last = strrchr(path, '/');
    size_t length = last ? (size_t)(last - path) : 0;
    return ends_with(path, length, ".service") || ends_with(path, length, ".scope");
}

// Into a cgroup of our own, where nobody else is in the one above. Returns 0 or a negative errno.
static int step_aside(int above, pid_t keeper) {
    char text[4096], copy[sizeof(text)], *save = NULL;
    ssize_t n = cgroup_file_read(above, "cgroup.procs", text, sizeof(text));
    if (n < 0 || n + 1 == (ssize_t)sizeof(text))
        return n < 0 ? (int)n : -EBUSY;
    memcpy(copy, text, sizeof(text));
    for (char *pid = strtok_r(copy, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
        if (atoi(pid) != getpid() && (keeper <= 0 || atoi(pid) != keeper))
            return -EBUSY;
    if (mkdirat(above, CGROUP_MAIN, 0755) < 0 && errno != EEXIST)
        return -errno;
    int r = 0;
    for (char *pid = strtok_r(text, "\n", &save); pid && r == 0; pid = strtok_r(NULL, "\n", &save))
        r = cgroup_file_write(above, CGROUP_MAIN "/cgroup.procs", pid);
    return r;
}

// Nobody may be in a cgroup that hands down, but for the root, which alone has no type. Where somebody is, the controllers
// that know threads would make what is below it invalid, instead of refusing.
static int clear_way(int above, const char *path, pid_t keeper, char why[160]) {
    char text[64];
    if (cgroup_file_read(above, "cgroup.type", text, sizeof(text)) == -ENOENT)
        return 0;
    ssize_t n = cgroup_file_read(above, "cgroup.procs", text, sizeof(text));
    if (n == 0)
        return 0;
    int r = n < 0 ? (int)n : is_managed(path) ? -EPERM : step_aside(above, keeper);
    if (r == -EPERM && n > 0)
        snprintf(why, 160,
                 "the service manager must start supd in a cgroup of its own, " CGROUP_MAIN
                 " (DelegateSubgroup=, systemd 254)");
    else if (r < 0)
        snprintf(why, 160, "supd can't leave its cgroup to its jobs: %s",
                 r == -EBUSY ? "others are in it" : strerror(-r));
    return r;
}

unsigned cgroup_control_begin(int dir, const char *path, pid_t keeper, char why[160]) {
    _cleanup_close_ int above = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const unsigned all = CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU;
    unsigned there = above < 0 ? 0 : flags_of(above, "cgroup.controllers");
    if (!(there & all)) {
        snprintf(why, 160, "cgroups have no controllers of memory, pids and cpu here");
        return 0;
    }
    if (clear_way(above, path, keeper, why) < 0)
        return 0;
    int r = hand_down(above, there);
    if (r == 0)
        r = hand_down(dir, flags_of(dir, "cgroup.controllers"));
    unsigned given = flags_of(dir, "cgroup.subtree_control");
    if ((given & all) != all)
        snprintf(why, 160, "of the controllers of memory, pids and cpu not all are here%s%s", r < 0 ? ": " : "",
                 r < 0 ? strerror(-r) : "");
    return given;
}

static int put(int dir, const char *file, int64_t value) {
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return cgroup_file_write(dir, file, text);
}

int cgroup_control_limit(int dir, const int64_t limits[LIMIT_TREE]) {
    int r = 0;
    if (limits[LIMIT_MEMORY] >= 0) {
        r = put(dir, "memory.max", limits[LIMIT_MEMORY]);
        int swap = put(dir, "memory.swap.max", 0);
        r = r == 0 && swap != -ENOENT ? swap : r; // a kernel without swap
        if (r == 0)
            r = put(dir, "memory.oom.group", 1);
    }
    if (r == 0 && limits[LIMIT_PROCESSES] >= 0)
        r = put(dir, "pids.max", limits[LIMIT_PROCESSES]);
    if (r == 0 && limits[LIMIT_CPU_WEIGHT] >= 0)
        r = put(dir, "cpu.weight", limits[LIMIT_CPU_WEIGHT]);
    return r;
}

// The sum of all "name" SEPARATOR NUMBER in the text; -1: there is none, and `blank` in place of it.
static int64_t number_after(const char *text, const char *name, char separator, int64_t blank) {
    size_t length = strlen(name);
    int64_t sum = -1;
    for (const char *at = text; (at = strstr(at, name)); at += length)
        if ((at == text || at[-1] == ' ' || at[-1] == '\n') && at[length] == separator)
            sum = MAX(sum, (int64_t)0) + strtoll(at + length + 1, NULL, 10);
    return sum < 0 ? blank : sum;
}

static ssize_t part_read(int dir, const char *name, const char *file, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", name, file);
    return cgroup_file_read(dir, path, text, size);
}

int cgroup_usage_read(int dir, const char *name, int cpu, unsigned flags, bool all, struct cgroup_usage *ret_usage) {
    struct cgroup_usage usage = {.read_bytes = -1, .written_bytes = -1, .peak_bytes = -1, .oom_kills = -1};
    char text[4096];
    ssize_t n = cpu >= 0 ? cgroup_file_again(cpu, text, sizeof(text))
                         : part_read(dir, name, "cpu.stat", text, sizeof(text));
    if (n < 0)
        return (int)n;
    usage.user = (double)number_after(text, "user_usec", ' ', 0) * 1e-6;
    usage.system = (double)number_after(text, "system_usec", ' ', 0) * 1e-6;
    if (all && (flags & CGROUP_IO) && part_read(dir, name, "io.stat", text, sizeof(text)) >= 0) {
        usage.read_bytes = number_after(text, "rbytes", '=', 0);
        usage.written_bytes = number_after(text, "wbytes", '=', 0);
    }
    if (all && (flags & CGROUP_MEMORY) && part_read(dir, name, "memory.peak", text, sizeof(text)) > 0)
        usage.peak_bytes = strtoll(text, NULL, 10);
    if (all && (flags & CGROUP_MEMORY) && part_read(dir, name, "memory.events", text, sizeof(text)) > 0)
        usage.oom_kills = number_after(text, "oom_kill", ' ', 0);
    *ret_usage = usage;
    return 0;
}
