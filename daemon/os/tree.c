// Trees: one interface, three ways to hold them.
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/os/cgroup.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/leavers.h"
#include "daemon/os/strays.h"
#include "daemon/os/tree_internal.h"

enum { CGROUPS_OPEN = 32, LIMIT_SHARE = 256 }; // at most, and one each so many descriptors that the daemon may have

static bool is_live(int number, void *data) {
    const struct tree_host *host = data;
    struct tree *tree;
    HASH_FIND(by_number, host->live, &number, sizeof(number), tree);
    return tree;
}

static int host_cgroup(struct tree_host *host, const struct tree_host_parts *parts) {
    char why[160] = "";
    int open = (int)MIN(descriptors_limit() / LIMIT_SHARE, (int64_t)CGROUPS_OPEN);
    int r = cgroup_host_new(host->loop, parts->name, parts->keeper, parts->resumed, open, &host->cgroups, why);
    // A user's own jobs may write to the hierarchy that is delegated to their daemon.
    if (r == 0 && geteuid() != 0)
        r = leavers_new(parts->keeper, cgroup_host_path(host->cgroups), !parts->resumed, is_live, host, &host->leavers);
    if (r < 0) {
        snprintf(host->why, sizeof(host->why), "no cgroup (%s)", why[0] ? why : strerror(-r));
        cgroup_host_free(host->cgroups);
        host->cgroups = NULL;
        return r;
    }
    host->open_descriptors = open * CGROUP_FILES;
    host->way = TREE_CGROUP;
    host->ways = &tree_ways_cgroup;
    snprintf(host->why, sizeof(host->why), "a cgroup a job, under %.150s", cgroup_host_path(host->cgroups));
    return 0;
}

static int host_reaper(struct tree_host *host) {
    size_t n = strlen(host->why);
    if (host->reaper_fd < 0) {
        snprintf(host->why + n, sizeof(host->why) - n, "%sno reaper (supd-reaper is not found)", n ? ", " : "");
        return -EOPNOTSUPP;
    }
    // Orphans of a reaper that was killed come to the keeper, or to the daemon, instead of leaving its sight.
    if (!host->adopted)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    int r = strays_new(host->loop, host->parent, host->adopted, host->reaper_fd, &host->strays);
    if (r < 0)
        return r;
    host->way = TREE_REAPER;
    host->ways = &tree_ways_reaper;
    snprintf(host->why + n, sizeof(host->why) - n, "%sa reaper process a job", n ? ": " : "");
    return 0;
}

static int host_none(struct tree_host *host) {
    host->way = TREE_NONE;
    host->ways = &tree_ways_none;
    snprintf(host->why, sizeof(host->why), "a process group a job: descendants can leave it");
    return 0;
}

int tree_host_new(const struct tree_host_parts *parts, struct tree_host **ret_host) {
    struct tree_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    const enum tree_way way = parts->way;
    host->loop = parts->loop;
    host->reaper_fd = parts->reaper_fd;
    host->descriptors = parts->descriptors;
    host->adopted = parts->adopted;
    host->parent = parts->keeper > 0 ? parts->keeper : getpid();
    int r = -EOPNOTSUPP;
    if (way == TREE_NONE)
        r = host_none(host);
    if (way == TREE_AUTO || way == TREE_CGROUP)
        r = host_cgroup(host, parts);
    if (r < 0 && (way == TREE_AUTO || way == TREE_REAPER))
        r = host_reaper(host);
    if (r < 0) {
        tree_host_free(host);
        return -EOPNOTSUPP;
    }
    *ret_host = host;
    return 0;
}

void tree_host_free(struct tree_host *host) {
    if (!host)
        return;
    struct tree *tree, *next;
    HASH_CLEAR(by_number, host->live);
    HASH_ITER(by_watch, host->watched, tree, next) {
        HASH_DELETE(by_watch, host->watched, tree);
        free(tree); // kept descendants: they live on
    }
    ev_prepare_stop(host->loop, &host->bottom);
    ev_idle_stop(host->loop, &host->again);
    leavers_free(host->leavers);
    cgroup_host_free(host->cgroups);
    strays_free(host->strays);
    free(host);
}

void tree_host_settle(struct tree_host *host) {
    if (host->cgroups)
        cgroup_host_settle(host->cgroups);
}

int64_t tree_host_descriptors(const struct tree_host *host) {
    return host->open_descriptors;
}

enum tree_way tree_host_way(const struct tree_host *host) {
    return host->way;
}

const char *tree_host_why(const struct tree_host *host) {
    return host->why;
}

unsigned tree_host_limits(const struct tree_host *host, const char **ret_why) {
    if (host->cgroups)
        return cgroup_host_controllers(host->cgroups, ret_why) & ((1u << LIMIT_TREE) - 1);
    *ret_why = "no cgroup holds jobs";
    return 0;
}

static struct tree *tree_blank(struct tree_host *host, enum tree_rest rest, const struct tree_listener *listener,
                               void *data) {
    struct tree *tree = calloc(1, sizeof(*tree));
    if (tree)
        *tree = (struct tree){.host = host,
                              .rest = rest,
                              .listener = listener,
                              .data = data,
                              .leader = {.pidfd = -1},
                              .cgroup = {.place = -1},
                              .watch = -1,
                              .control = -1};
    return tree;
}

int tree_new(struct tree_host *host, enum tree_rest rest, const int64_t *limits, const struct tree_listener *listener,
             void *data, struct tree **ret_tree) {
    struct tree *tree = tree_blank(host, rest, listener, data);
    if (!tree)
        return -ENOMEM;
    tree->limits = limits;
    tree->spoiled = limits != NULL; // its cgroup keeps them
    if (host->cgroups) {
        cgroup_take(host->cgroups, limits != NULL, &tree->cgroup, &tree->before);
        tree_cgroup_live(tree);
    }
    *ret_tree = tree;
    return 0;
}

void tree_note(struct tree *tree, struct leader_exit *end, uint64_t since) {
    tree->leader.note = end;
    tree->leader.since = since;
}

void tree_keep(const struct tree *tree, bool is_launching, struct tree_kept *ret_kept) {
    if (is_launching) {
        *ret_kept = (struct tree_kept){.number = tree->cgroup.number};
        return;
    }
    *ret_kept = (struct tree_kept){
        .number = tree->cgroup.number,
        .leader = tree->leader.pid,
        .holder = tree->holder,
        .pidfd = MAX(tree->leader.pidfd, 0),
        .control = MAX(tree->control, 0),
        .ended = tree->told_exit,
        .spoiled = tree->spoiled,
        .before = tree->host->cgroups ? tree->before : CGROUP_UNUSED,
    };
}

int tree_control(const struct tree *tree) {
    return tree->control;
}

static void tree_resumed(struct tree *tree) {
    if (tree->is_new)
        DL_DELETE2(tree->host->adopted_trees, tree, new_prev, new_next);
    tree->is_new = false;
}

// Callbacks never come from inside a call: what is known already is told in the next turn.
static void on_resume(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct tree_host *host = timer->data;
    struct tree *tree;
    while ((tree = host->adopted_trees)) {
        tree_resumed(tree);
        if (tree->listener)
            host->ways->resume(tree);
    }
}

static void tree_resume_later(struct tree *tree) {
    struct tree_host *host = tree->host;
    tree->is_new = true;
    DL_APPEND2(host->adopted_trees, tree, new_prev, new_next);
    ev_timer_stop(host->loop, &host->resume);
    ev_timer_init(&host->resume, on_resume, 0, 0);
    host->resume.data = host;
    ev_timer_start(host->loop, &host->resume);
}

int tree_adopt(struct tree_host *host, enum tree_rest rest, const struct tree_kept *kept, struct leader_exit *note,
               uint64_t since, const struct tree_listener *listener, void *data, struct tree **ret_tree) {
    struct tree *tree = tree_blank(host, rest, listener, data);
    if (!tree)
        return -ENOMEM;
    tree->cgroup.number = kept->number;
    tree->holder = kept->holder;
    tree->control = kept->control > 0 ? kept->control : -1;
    tree->leader.pid = kept->leader;
    tree->leader.pidfd = kept->pidfd > 0 && !kept->ended ? kept->pidfd : -1;
    tree->leader.is_foreign = kept->is_foreign;
    tree->told_exit = tree->leader_told = kept->ended;
    tree->spoiled = kept->spoiled;
    if (host->cgroups)
        tree->before = kept->before;
    tree->launched = tree->is_adopted = true;
    tree_note(tree, note, since);
    if (host->cgroups) {
        cgroup_claim(host->cgroups, tree->cgroup.number);
        tree_cgroup_live(tree);
    }
    host->ways->adopt(tree);
    tree_resume_later(tree);
    *ret_tree = tree;
    return 0;
}

int tree_prepare(struct tree *tree, struct tree_launch *ret_launch) {
    return tree->host->ways->prepare(tree, ret_launch);
}

int tree_launch_join(const struct tree_launch *launch) {
    int fd = openat(launch->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void tree_launched(struct tree *tree, struct tree_launch *launch, pid_t leader, pid_t holder) {
    tree->leader.pid = leader;
    tree->leader.pidfd = TAKE_FD(launch->pidfd);
    tree->holder = holder;
}

void tree_launch_done(struct tree_launch *launch) {
    fd_close(launch->own_cgroup);
    fd_close(launch->join);
    fd_close(launch->control);
    fd_close(launch->pidfd);
}

void tree_attach(struct tree *tree) {
    tree->launched = true;
    tree->host->ways->attach(tree);
}

int tree_signal_leader(struct tree *tree, int sig) {
    return tree->launched ? tree->host->ways->signal_leader(tree, sig) : -ESRCH;
}

int tree_signal(struct tree *tree, int sig) {
    return tree->launched ? tree->host->ways->signal(tree, sig) : -ESRCH;
}

void tree_kill(struct tree *tree) {
    tree->killing = true;
    if (tree->launched)
        tree->host->ways->kill(tree);
}

int tree_pids(struct tree *tree, pid_t *pids, size_t max) {
    return tree->launched ? tree->host->ways->pids(tree, pids, max) : 0;
}

int tree_cpu(struct tree *tree, double *ret_seconds) {
    return tree->launched ? tree->host->ways->cpu(tree, ret_seconds) : -ESRCH;
}

int tree_usage(struct tree *tree, struct usage *usage, bool *ret_oom) {
    return tree->launched && tree->host->ways->usage ? tree->host->ways->usage(tree, usage, ret_oom) : -EOPNOTSUPP;
}

void tree_free(struct tree *tree) {
    if (!tree)
        return;
    tree->listener = NULL;
    if (tree->host->ways->release(tree))
        tree_drop(tree);
}

// What was told is in the records by now, and they name these no more.
static void tree_close_spent(struct tree *tree) {
    if (tree->spent > 0)
        close(tree->spent);
    tree->spent = 0;
    leader_close(&tree->leader);
}

void tree_drop(struct tree *tree) {
    tree_close_spent(tree);
    tree_resumed(tree);
    descriptors_give(tree->host->descriptors, 1);
    free(tree);
}

void tree_tell_exit(struct tree *tree, const struct leader_exit *end) {
    if (!end || tree->told_exit)
        return;
    tree->told_exit = true;
    if (tree->listener)
        tree->listener->leader_exit(tree, end, tree->data);
    tree_close_spent(tree);
}

void tree_tell_empty(struct tree *tree) {
    if (tree->told_empty)
        return;
    tree->told_empty = true;
    if (tree->listener)
        tree->listener->empty(tree, tree->data);
    tree_close_spent(tree);
}

void tree_tell_unproven(struct tree *tree) {
    if (tree->told_empty)
        return;
    tree->told_empty = true;
    if (tree->listener)
        tree->listener->unproven(tree, tree->data);
    tree_close_spent(tree);
}
