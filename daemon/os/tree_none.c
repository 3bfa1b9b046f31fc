// No holder: the leader's process group only, which descendants can leave. For measuring what the others cost.
#include <signal.h>
#include <sys/wait.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

static int none_prepare(struct tree *tree, struct tree_launch *ret_launch) {
    return 0;
}

// The group is signalled while its leader is not reaped: its number cannot be anybody else's.
static void on_leader(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct tree *tree = io->data;
    if (tree->rest == TREE_REST_KILL || tree->killing)
        kill(-tree->leader.pid, SIGKILL);
    struct leader_exit end;
    if (!leader_reap(&tree->leader, loop, &end))
        return;
    tree_tell_exit(tree, &end);
    tree_tell_empty(tree);
}

static void none_attach(struct tree *tree) {
    leader_watch(&tree->leader, tree->host->loop, on_leader, tree);
}

static void none_told(struct leader *leader, const struct leader_exit *end) {
    struct tree *tree = leader->data;
    leader_over(leader, tree->host->loop);
    tree_tell_exit(tree, end);
    tree_tell_empty(tree);
}

static void none_adopt(struct tree *tree) {
    tree->leader.data = tree;
    if (!tree->told_exit && !tree->leader.note->known)
        adopted_add(tree->host->adopted, &tree->leader, none_told, tree);
}

static void none_resume(struct tree *tree) {
    if (!tree->leader.is_adopted && !tree->told_empty)
        none_told(&tree->leader, tree->leader.note);
}

static int none_signal_leader(struct tree *tree, int sig) {
    return leader_signal(&tree->leader, sig);
}

static int none_signal(struct tree *tree, int sig) {
    if (tree->leader.pidfd < 0)
        return -ESRCH;
    return kill(-tree->leader.pid, sig) < 0 ? -errno : 0;
}

static void none_kill(struct tree *tree) {
    none_signal(tree, SIGKILL);
}

static int none_pids(struct tree *tree, pid_t *pids, size_t max) {
    return -EOPNOTSUPP;
}

static int none_cpu(struct tree *tree, double *ret_seconds) {
    if (tree->leader.pidfd < 0)
        return -ESRCH;
    *ret_seconds = sweep_clock(tree->leader.pid);
    return 0;
}

static bool none_release(struct tree *tree) {
    if (tree->leader.is_adopted)
        adopted_remove(tree->host->adopted, &tree->leader);
    leader_done(&tree->leader, tree->host->loop);
    return true;
}

const struct tree_ways tree_ways_none = {none_prepare, none_attach, none_signal_leader, none_signal,
                                         none_kill,    none_pids,   none_cpu,           NULL,
                                         none_adopt,   none_resume, none_release};
