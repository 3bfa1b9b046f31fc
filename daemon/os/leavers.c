// Who is the keeper's child without being in a job's cgroup.
#include "daemon/os/leavers.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/os/cgroup_file.h"
#include "daemon/os/cgroup_find.h"
#include "daemon/os/sweep.h"

enum { LOOK_MOST = 256 }; // children: each takes three system calls

struct leavers {
    pid_t keeper;
    char *place; // owned: "0::PATH/j", as in /proc/PID/cgroup, of all jobs
    pid_t known[LOOK_MOST];
    size_t count;
};

int leavers_new(pid_t keeper, const char *path, bool began, struct leavers **ret_leavers) {
    char own[PATH_MAX];
    int r = cgroup_find_own(own);
    struct leavers *leavers = r < 0 ? NULL : calloc(1, sizeof(*leavers));
    if (!leavers)
        return r < 0 ? r : -ENOMEM;
    leavers->keeper = keeper;
    if (asprintf(&leavers->place, "0::%s%s/j", own, strrchr(path, '/')) < 0) {
        free(leavers);
        return -ENOMEM;
    }
    if (began)
        leavers_came(leavers);
    *ret_leavers = leavers;
    return 0;
}

void leavers_free(struct leavers *leavers) {
    if (leavers)
        free(leavers->place);
    free(leavers);
}

// Whoever can't be looked at is gone, and so is who is dead.
static bool has_left(const struct leavers *leavers, pid_t pid) {
    char path[64], text[PATH_MAX + 1024]; // a line of each hierarchy of version 1 may come first
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (pid == getpid() || cgroup_file_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
        return false;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    line = line && *line == '\n' ? line + 1 : line;
    if (line && strncmp(line, leavers->place, strlen(leavers->place)) == 0)
        return false;
    char state = sweep_state(pid);
    return state != 'X' && state != 'Z';
}

static bool is_known(const struct leavers *leavers, pid_t pid) {
    for (size_t i = 0; i < leavers->count; i++)
        if (leavers->known[i] == pid)
            return true;
    return false;
}

bool leavers_came(struct leavers *leavers) {
    pid_t children[LOOK_MOST + 1], there[LOOK_MOST];
    size_t n = sweep_children(leavers->keeper, children, ARRAY_SIZE(children)), count = 0;
    bool came = n > LOOK_MOST;
    for (size_t i = 0; i < n && !came; i++)
        if (has_left(leavers, children[i]))
            there[count++] = children[i];
    if (came)
        return true;
    for (size_t i = 0; i < count; i++)
        came |= !is_known(leavers, there[i]);
    memcpy(leavers->known, there, count * sizeof(there[0]));
    leavers->count = count;
    return came;
}
