// A cgroup holds the tree: nothing leaves it, whatever it forks.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/cgroup.h"
#include "daemon/os/leavers.h"
#include "daemon/os/tree_internal.h"

enum {
    PIDS_MAX = 4096,
    DOOMED_TURN = 32, // cgroups killed in one turn of the loop, so that the next deadlines do not wait for all
};

static int way_prepare(struct tree *tree, struct tree_launch *ret_launch) {
    struct cgroup_host *host = tree->host->cgroups;
    int fd = cgroup_open(host, &tree->cgroup, &ret_launch->own_cgroup);
    if (fd < 0)
        return fd;
    ret_launch->cgroup = fd;
    return tree->limits ? cgroup_control_limit(fd, tree->limits) : 0;
}

static void unwatch(struct tree *tree) {
    if (tree->watch < 0)
        return;
    HASH_DELETE(by_watch, tree->host->watched, tree);
    cgroup_unwatch(tree->host->cgroups, tree->watch);
    tree->watch = -1;
}

// Whether nobody is left. Once that is so it stays so: whoever could fork into the cgroup is gone.
static bool look(struct tree *tree) {
    if (tree->is_empty)
        return true;
    int state = cgroup_state(tree->host->cgroups, &tree->cgroup);
    tree->is_empty = state >= 0 && !(state & CGROUP_POPULATED);
    tree->spoiled |= state < 0 || (state & CGROUP_FROZEN) || (tree->launched && (state & CGROUP_GONE));
    return tree->is_empty;
}

static int usage_read(struct tree *tree) {
    bool is_over = tree->is_empty;
    int r = tree->used_all ? 0 : cgroup_usage(tree->host->cgroups, &tree->cgroup, true, &tree->used);
    tree->used_all |= r == 0 && is_over;
    return r;
}

void tree_cgroup_live(struct tree *tree) {
    struct tree_host *host = tree->host;
    if (!host->leavers)
        return;
    tree->leavers = leavers_looked(host->leavers);
    HASH_ADD(by_number, host->live, cgroup.number, sizeof(tree->cgroup.number), tree);
}

// Whether nobody of it can be elsewhere. To whom those of an earlier keeper come is not known.
static bool is_whole(const struct tree *tree) {
    struct leavers *leavers = tree->host->leavers;
    return !leavers || (!tree->leader.is_foreign && leavers_look(leavers) == tree->leavers);
}

static void give_back(struct tree *tree) {
    if (tree->by_number.tbl)
        HASH_DELETE(by_number, tree->host->live, tree);
    tree->by_number.tbl = NULL;
    bool reusable = tree->is_empty && !tree->spoiled && usage_read(tree) == 0;
    cgroup_give(tree->host->cgroups, &tree->cgroup, reusable ? &tree->used : NULL);
}

// Tells emptiness once it is there; a tree that nobody owns any more gives its cgroup back.
static void settle(struct tree *tree) {
    if (tree->leader.pidfd >= 0 || !look(tree))
        return;
    unwatch(tree);
    bool free_now = !tree->listener;
    if (tree->listener && !tree->told_empty && !is_whole(tree))
        tree_tell_unproven(tree);
    else
        tree_tell_empty(tree);
    if (free_now) {
        give_back(tree);
        tree_drop(tree);
    }
}

static void on_change(int watch, void *data) {
    struct tree_host *host = data;
    struct tree *tree;
    HASH_FIND(by_watch, host->watched, &watch, sizeof(watch), tree);
    if (tree)
        settle(tree);
}

static void watch(struct tree *tree) {
    if (tree->watch >= 0)
        return;
    cgroup_host_listen(tree->host->cgroups, on_change, tree->host);
    int number = cgroup_watch(tree->host->cgroups, tree->cgroup.number);
    if (number < 0)
        return;
    tree->watch = number;
    HASH_ADD(by_watch, tree->host->watched, watch, sizeof(tree->watch), tree);
    if (!tree->by_watch.tbl) {
        cgroup_unwatch(tree->host->cgroups, tree->watch);
        tree->watch = -1;
    }
}

static void way_ended(struct tree *tree, const struct leader_exit *end) {
    struct cgroup_host *host = tree->host->cgroups;
    bool alone = look(tree);
    // A job that may do so can use cgroup.kill itself.
    tree->spoiled |= !alone || end->signal == SIGKILL;
    if (!alone) {
        watch(tree);
        if (tree->rest == TREE_REST_KILL || tree->killing)
            cgroup_kill(host, tree->cgroup.number);
    }
    tree_tell_exit(tree, end);
    settle(tree);
}

static void on_leader(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct tree *tree = io->data;
    struct leader_exit end;
    if (leader_reap(&tree->leader, loop, &end)) {
        way_ended(tree, &end);
        return;
    }
    tree->spoiled = true;
    if (tree->rest == TREE_REST_KILL || tree->killing) // and with them who holds it, if that is one of them
        cgroup_kill(tree->host->cgroups, tree->cgroup.number);
}

static void on_adopted_leader(struct leader *leader, const struct leader_exit *end) {
    struct tree *tree = leader->data;
    leader_over(leader, tree->host->loop);
    way_ended(tree, end);
}

static void way_adopt(struct tree *tree) {
    tree->leader.data = tree;
    if (!tree->told_exit && !tree->leader.note->known)
        adopted_add(tree->host->adopted, &tree->leader, on_adopted_leader, tree);
}

static void way_resume(struct tree *tree) {
    struct leader *leader = &tree->leader;
    if (leader->is_adopted)
        return;
    if (!tree->told_exit) {
        on_adopted_leader(leader, leader->note);
        return;
    }
    leader_done(leader, tree->host->loop);
    watch(tree);
    settle(tree);
}

static void way_attach(struct tree *tree) {
    cgroup_launched(tree->host->cgroups, &tree->cgroup);
    leader_watch(&tree->leader, tree->host->loop, on_leader, tree);
    if (tree->killing)
        tree->host->ways->kill(tree);
}

static int way_signal_leader(struct tree *tree, int sig) {
    return leader_signal(&tree->leader, sig);
}

// A pid from the list may be somebody else's by the time it is signalled: through a pidfd, with a second
// look at where it is, it cannot.
static int signal_one(struct tree *tree, pid_t pid, int sig) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return -errno;
    int r = -ESRCH;
    if (cgroup_holds(tree->host->cgroups, tree->cgroup.number, pid))
        r = syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
    close(pidfd);
    return r;
}

static int way_signal(struct tree *tree, int sig) {
    pid_t pids[PIDS_MAX];
    int count = cgroup_pids(tree->host->cgroups, tree->cgroup.number, pids, PIDS_MAX);
    int r = tree->leader.pidfd >= 0 ? leader_signal(&tree->leader, sig) : -ESRCH;
    for (int i = 0; i < MIN(count, PIDS_MAX); i++)
        if (pids[i] != tree->leader.pid && signal_one(tree, pids[i], sig) == 0)
            r = 0;
    return r;
}

// Where it may, the daemon goes before everybody else while it kills: each process that dies would otherwise take its
// share of the processor from the kills that are still to come. Many deadlines in one instant are met so.
static void urgent(struct tree_host *host, bool on) {
    struct sched_param param = {.sched_priority = 1};
    if (host->no_urgency || host->is_urgent == on)
        return;
    if (on) {
        host->policy = sched_getscheduler(0);
        sched_getparam(0, &host->priority);
    }
    int policy = on ? SCHED_FIFO | SCHED_RESET_ON_FORK : host->policy;
    host->no_urgency = sched_setscheduler(0, policy, on ? &param : &host->priority) < 0;
    host->is_urgent = on && !host->no_urgency;
}

static void doomed_remove(struct tree *tree) {
    if (tree->is_doomed)
        DL_DELETE2(tree->host->doomed, tree, doomed_prev, doomed_next);
    tree->is_doomed = false;
}

static void on_again(struct ev_loop *loop, struct ev_idle *w, int events) {
    // The turn that this makes is all there is to it.
}

static void on_bottom(struct ev_loop *loop, struct ev_prepare *w, int events) {
    struct tree_host *host = w->data;
    urgent(host, false);
    for (int n = 0; n < DOOMED_TURN && host->doomed; n++) {
        struct tree *tree = host->doomed;
        doomed_remove(tree);
        cgroup_kill(host->cgroups, tree->cgroup.number);
    }
    if (host->doomed)
        return;
    ev_prepare_stop(loop, w);
    ev_idle_stop(loop, &host->again);
}

// First all leaders by the one cheap call, then, at the bottom of this turn and the next ones, whoever is left: most trees
// are a leader alone, and gone by then.
static void way_kill(struct tree *tree) {
    struct tree_host *host = tree->host;
    tree->spoiled = true;
    if (!ev_is_active(&host->bottom)) {
        ev_prepare_init(&host->bottom, on_bottom);
        ev_idle_init(&host->again, on_again);
        host->bottom.data = host;
        ev_prepare_start(host->loop, &host->bottom);
        ev_idle_start(host->loop, &host->again);
    }
    urgent(host, true);
    leader_signal(&tree->leader, SIGKILL);
    if (tree->is_doomed)
        return;
    tree->is_doomed = true;
    DL_APPEND2(host->doomed, tree, doomed_prev, doomed_next);
}

static int way_pids(struct tree *tree, pid_t *pids, size_t max) {
    return is_whole(tree) ? cgroup_pids(tree->host->cgroups, tree->cgroup.number, pids, max) : -ESRCH;
}

static int way_cpu(struct tree *tree, double *ret_seconds) {
    struct cgroup_usage now;
    int r = cgroup_usage(tree->host->cgroups, &tree->cgroup, false, &now);
    if (r == 0)
        *ret_seconds = now.user + now.system - tree->before.user - tree->before.system;
    return r;
}

static int64_t since(int64_t now, int64_t before) {
    return now < 0 ? -1 : now - MAX(before, (int64_t)0);
}

static int way_usage(struct tree *tree, struct usage *usage, bool *ret_oom) {
    const struct cgroup_usage *before = &tree->before, *used = &tree->used;
    int r = usage_read(tree);
    if (r < 0)
        return r;
    usage->source = USAGE_CGROUP;
    usage->user = used->user - before->user;
    usage->system = used->system - before->system;
    usage->read_bytes = since(used->read_bytes, before->read_bytes);
    usage->written_bytes = since(used->written_bytes, before->written_bytes);
    usage->peak_bytes = used->peak_bytes; // none that is counted was used before
    *ret_oom = since(used->oom_kills, before->oom_kills) > 0;
    return 0;
}

static bool way_release(struct tree *tree) {
    if (tree->is_doomed)
        cgroup_kill(tree->host->cgroups, tree->cgroup.number);
    doomed_remove(tree);
    if (tree->leader.is_adopted)
        adopted_remove(tree->host->adopted, &tree->leader);
    leader_done(&tree->leader, tree->host->loop);
    bool is_empty = look(tree);
    if (tree->launched && tree->watch >= 0 && !is_empty)
        return false; // on_change gives it back
    unwatch(tree);
    give_back(tree);
    return true;
}

const struct tree_ways tree_ways_cgroup = {way_prepare, way_attach, way_signal_leader, way_signal, way_kill,   way_pids,
                                           way_cpu,     way_usage,  way_adopt,         way_resume, way_release};
