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
    bool (*is_live)(int number, void *data);
    void *data;
    unsigned found;
    pid_t known[LOOK_MOST + 1]; // all of one look: the worker may be beyond it
    size_t count;
};

int leavers_new(pid_t keeper, const char *path, bool began, bool (*is_live)(int number, void *data), void *data,
                struct leavers **ret_leavers) {
    char own[PATH_MAX];
    int r = cgroup_find_own(own);
    struct leavers *leavers = r < 0 ? NULL : calloc(1, sizeof(*leavers));
    if (!leavers)
        return r < 0 ? r : -ENOMEM;
    *leavers = (struct leavers){.keeper = keeper, .is_live = is_live, .data = data};
    if (asprintf(&leavers->place, "0::%s%s/j", own, strrchr(path, '/')) < 0) {
        free(leavers);
        return -ENOMEM;
    }
    if (began)
        leavers_look(leavers);
    leavers->found = 0;
    *ret_leavers = leavers;
    return 0;
}

void leavers_free(struct leavers *leavers) {
    if (leavers)
        free(leavers->place);
    free(leavers);
}

unsigned leavers_looked(const struct leavers *leavers) {
    return leavers->found;
}

// Of a job that is live: directories beside those of jobs may be there, and those of jobs that are over.
static bool is_in_job(const struct leavers *leavers, const char *line) {
    size_t length = strlen(leavers->place);
    char *end;
    if (strncmp(line, leavers->place, length) != 0 || line[length] < '0' || line[length] > '9')
        return false;
    long number = strtol(line + length, &end, 10);
    return (*end == '/' || *end == '\n') && number <= INT_MAX && leavers->is_live((int)number, leavers->data);
}

// Whoever is gone has not; whoever can't be looked at may have.
static bool has_left(const struct leavers *leavers, pid_t pid) {
    char path[64], text[PATH_MAX + 1024]; // a line of each hierarchy of version 1 may come first
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    ssize_t n = cgroup_file_read(AT_FDCWD, path, text, sizeof(text));
    if (n < 0)
        return n != -ENOENT && n != -ESRCH;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    return !line || !is_in_job(leavers, *line == '\n' ? line + 1 : line);
}

static bool is_known(const struct leavers *leavers, pid_t pid) {
    for (size_t i = 0; i < leavers->count; i++)
        if (leavers->known[i] == pid)
            return true;
    return false;
}

unsigned leavers_look(struct leavers *leavers) {
    pid_t children[LOOK_MOST + 1], there[LOOK_MOST + 1] = {0};
    size_t n = leavers->keeper > 0 ? sweep_children(leavers->keeper, children, ARRAY_SIZE(children)) : 0, count = 0;
    // The keeper is alive, and can be looked at, if this process is among its children.
    bool saw_this = false, came = false;
    for (size_t i = 0; i < n && n <= LOOK_MOST; i++) {
        saw_this |= children[i] == getpid();
        if (children[i] == getpid() || !has_left(leavers, children[i]))
            continue;
        came |= !is_known(leavers, children[i]);
        there[count++] = children[i];
    }
    memcpy(leavers->known, there, count * sizeof(there[0]));
    leavers->count = count;
    leavers->found += came || !saw_this;
    return leavers->found;
}
