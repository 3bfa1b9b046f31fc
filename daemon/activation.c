// Descriptors from and to the service manager.
#include "daemon/activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/notify.h"
#include "daemon/os/own_table.h"

enum { FIRST = 3 };

static void environment_clear(void) {
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

// Where a descriptor of that name was; -1: anywhere.
static int place_of(const char *name) {
    char *end;
    if (name[0] != 'f')
        return -1;
    long place = strtol(name + 1, &end, 10);
    return *end || place < FIRST || place > 1 << 24 ? -1 : (int)place;
}

struct taken {
    int now, place;
};

// First all of them out of each other's way, then each to its place.
static void put_back(struct taken *list, int count, struct activation *activation) {
    int top = FIRST + count;
    for (int i = 0; i < count; i++)
        top = MAX(top, list[i].place + 1);
    for (int i = 0; i < count; i++) {
        int away = fcntl(list[i].now, F_DUPFD_CLOEXEC, top);
        if (away >= 0)
            close(list[i].now);
        if (activation->kept == list[i].now && away >= 0)
            activation->kept = away;
        if (activation->listener == list[i].now && away >= 0)
            activation->listener = away;
        list[i].now = away;
    }
    for (int i = 0; i < count; i++)
        if (list[i].place >= 0 && list[i].now >= 0) {
            dup3(list[i].now, list[i].place, O_CLOEXEC);
            close(list[i].now);
        }
}

void activation_take(struct activation *activation) {
    *activation = (struct activation){.listener = -1, .kept = -1};
    const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    int count = number ? atoi(number) : 0;
    if (!pid || strtol(pid, NULL, 10) != (long)getpid() || count <= 0)
        return;
    struct taken *list = calloc((size_t)count, sizeof(*list));
    char *copy = strdup(names ? names : ""), *rest = copy;
    for (int i = 0; list && copy && i < count; i++) {
        const char *name = rest ? strsep(&rest, ":") : "";
        list[i] = (struct taken){.now = FIRST + i, .place = place_of(name)};
        fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
        if (list[i].place >= 0 || streq(name, "kept"))
            notify_unstore(name); // they are ours again: the next ones of these names are others
        if (streq(name, "kept"))
            activation->kept = FIRST + i;
        else if (list[i].place < 0)
            activation->listener = FIRST + i;
    }
    if (list && copy && activation->kept >= 0)
        put_back(list, count, activation);
    for (int i = 0; list && activation->kept < 0 && i < count; i++) // the memory that they belong to did not come
        if (list[i].place >= 0)
            close(list[i].now);
    free(copy);
    free(list);
    environment_clear();
}

// The unit that we are, from our cgroup (proc(5), cgroups(7)): the last part of the path that ends in .service.
static bool unit_name(char *name, size_t size) {
    char line[4096];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        char *end = strstr(line, ".service");
        for (char *next; end && (next = strstr(end + 1, ".service"));)
            end = next;
        if (!end)
            continue;
        end[strlen(".service")] = 0;
        const char *slash = strrchr(line, '/');
        found = slash && snprintf(name, size, "%s", slash + 1) < (int)size;
    }
    if (file)
        fclose(file);
    return found;
}

// Starts a program with its stdout in a pipe. Returns the reading end, or a negative errno.
static int ask(const char *const *argv, pid_t *ret_pid) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = own_table_spawn(argv[0], (char *const *)(uintptr_t)argv, ends[1], ret_pid);
    close(ends[1]);
    if (r < 0)
        close(ends[0]);
    return r < 0 ? r : ends[0];
}

static bool is_restart(void *data) {
    const bool *system = data;
    char unit[256], line[512];
    const char *const argv[] = {"timeout",   "5",           "systemctl", *system ? "--system" : "--user",
                                "list-jobs", "--no-legend", "--plain",   NULL};
    pid_t pid = 0;
    if (!notify_is_there() || !unit_name(unit, sizeof(unit)))
        return false;
    // While it has us stopped, the unit's job says what for (org.freedesktop.systemd1, Unit.Job).
    int fd = ask(argv, &pid);
    FILE *jobs = fd < 0 ? NULL : fdopen(fd, "r");
    bool restart = false;
    while (jobs && fgets(line, sizeof(line), jobs)) {
        char name[256], type[32];
        if (sscanf(line, "%*s %255s %31s", name, type) == 2 && streq(name, unit))
            restart = streq(type, "restart");
    }
    if (jobs)
        fclose(jobs);
    else
        fd_close(fd);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return restart;
}

bool activation_is_restart(bool system) {
    return own_table_call(is_restart, &system);
}

static bool is_slot(const struct kept_head *head, int fd) {
    for (int i = 0; i < head->slot_count; i++)
        if (head->slots[i] == fd)
            return true;
    return false;
}

int activation_leave(struct kept *kept, const int *fds, size_t count) {
    char name[16];
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        if (fds[i] == kept->head->fd || fds[i] == kept->head->news || is_slot(kept->head, fds[i]))
            continue;
        snprintf(name, sizeof(name), "f%d", fds[i]);
        r = notify_store(fds[i], name);
    }
    return r < 0 ? r : notify_store(kept->head->fd, "kept"); // last: whoever finds it finds the others
}
