// A reaper process holds the tree: the leader's parent, and the next subreaper above all its descendants.
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/reaper_wire.h"
#include "daemon/os/strays.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

static const char *const policies[] = {[TREE_REST_KILL] = "kill", [TREE_REST_WAIT] = "wait", [TREE_REST_KEEP] = "keep"};

static int way_prepare(struct tree *tree, struct tree_launch *ret_launch) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    tree->control = ends[0];
    ret_launch->control = ends[1];
    ret_launch->program = tree->host->reaper_fd;
    ret_launch->policy = policies[tree->rest];
    return 0;
}

static int order(struct tree *tree, int ask, int value) {
    const struct reaper_order message = {.ask = ask, .value = value};
    if (tree->control < 0)
        return -ESRCH;
    // Whatever has stopped it. Our child, not reaped while its control is open; or the keeper's, if it still is one.
    if (!tree->is_adopted || sweep_parent(tree->holder) == tree->host->parent)
        kill(tree->holder, SIGCONT);
    return send(tree->control, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

// The reaper exits behind its last message: it is ours to reap, and it is quick.
static void holder_over(struct tree *tree) {
    struct tree_host *host = tree->host;
    if (tree->control < 0)
        return;
    ev_io_stop(host->loop, &tree->control_io);
    tree->spent = TAKE_FD(tree->control);
    strays_unknow(host->strays, tree);
    while (waitpid(tree->holder, NULL, 0) < 0 && errno == EINTR) // of an adopted one it is the keeper who reaps it
        ;
}

static void tell_unproven(struct tree *tree, const struct leader_exit *end) {
    bool free_now = !tree->listener;
    if (tree->leader.is_adopted)
        adopted_remove(tree->host->adopted, &tree->leader);
    tree_tell_exit(tree, end);
    tree_tell_unproven(tree);
    strays_sweep(tree->host->strays);
    if (free_now)
        tree_drop(tree);
}

static void on_orphaned_leader(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct tree *tree = io->data;
    struct leader_exit end;
    if (leader_reap(&tree->leader, loop, &end))
        tell_unproven(tree, &end);
    else
        strays_sweep(tree->host->strays); // one of them may hold it
}

// An orphaned leader has ended, and the keeper has reaped it. Where its reaper's end is not known yet, it soon is.
static void on_keepers_leader(struct leader *leader, const struct leader_exit *end) {
    struct tree *tree = leader->data;
    tree->orphan_end = *end;
    leader_over(leader, tree->host->loop);
    if (tree->control < 0)
        tell_unproven(tree, end);
}

static void way_adopt(struct tree *tree) {
    if (tree->host->adopted && !tree->leader_told && !tree->leader.is_adopted)
        adopted_add(tree->host->adopted, &tree->leader, on_keepers_leader, tree);
}

// The reaper was killed. Its leader, if it has not ended, has come to us: it is ended and its status is ours to read.
static void holder_lost(struct tree *tree) {
    struct leader_exit end = tree->orphan_end;
    if (!end.known)
        end.exit_code = -1;
    holder_over(tree);
    if (!tree->leader_told && !end.known && sweep_parent(tree->leader.pid) == tree->host->parent) {
        tree->leader.pidfd = (int)syscall(SYS_pidfd_open, tree->leader.pid, 0);
        if (tree->leader.pidfd >= 0) {
            leader_signal(&tree->leader, SIGKILL);
            way_adopt(tree); // once more, where there was no memory for it
            if (tree->leader.is_adopted)
                return; // on_keepers_leader tells
            leader_watch(&tree->leader, tree->host->loop, on_orphaned_leader, tree);
            return;
        }
    }
    if (tree->leader_told)
        tell_unproven(tree, NULL);
    else
        tell_unproven(tree, &end);
}

static void on_control(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct tree *tree = io->data;
    struct reaper_report report;
    // It is taken once it has been noted: the next worker would find it again.
    ssize_t n = recv(tree->control, &report, sizeof(report), MSG_DONTWAIT | MSG_PEEK);
    // An order that the reaper did not read any more is told as ECONNRESET, once, ahead of what it had said before.
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
        return;
    if (n != (ssize_t)sizeof(report)) {
        holder_lost(tree);
        return;
    }
    if (report.told == REAPER_EXIT) {
        struct leader_exit end = leader_exit_from(report.status, &report.usage);
        tree->leader_told = true;
        if (tree->leader.note)
            leader_note(tree->leader.note, &end);
        recv(tree->control, &report, sizeof(report), MSG_DONTWAIT);
        tree_tell_exit(tree, &end);
        return;
    }
    bool free_now = !tree->listener;
    if (tree->leader.is_adopted)
        adopted_remove(tree->host->adopted, &tree->leader);
    holder_over(tree);
    tree_tell_empty(tree);
    if (free_now)
        tree_drop(tree);
}

static void way_attach(struct tree *tree) {
    way_adopt(tree);
    strays_know(tree->host->strays, tree);
    ev_io_init(&tree->control_io, on_control, tree->control, EV_READ);
    tree->control_io.data = tree;
    ev_io_start(tree->host->loop, &tree->control_io);
    if (tree->killing)
        order(tree, REAPER_KILL, 0);
}

static void way_resume(struct tree *tree) {
    if (!tree->leader_told && tree->leader.note->known) {
        tree->leader_told = true;
        tree_tell_exit(tree, tree->leader.note);
    }
    if (tree->control >= 0)
        way_attach(tree);
    else
        tell_unproven(tree, tree->leader.note);
}

static int way_signal_leader(struct tree *tree, int sig) {
    return tree->leader_told ? -ESRCH : order(tree, REAPER_SIGNAL_LEADER, sig);
}

static int way_signal(struct tree *tree, int sig) {
    return order(tree, REAPER_SIGNAL, sig);
}

static void way_kill(struct tree *tree) {
    order(tree, REAPER_KILL, 0);
}

static int way_pids(struct tree *tree, pid_t *pids, size_t max) {
    return tree->control < 0 ? -ESRCH : (int)sweep_list(tree->holder, pids, max);
}

static int way_cpu(struct tree *tree, double *ret_seconds) {
    if (tree->control < 0)
        return -ESRCH;
    pid_t *pids = malloc(SWEEP_MAX * sizeof(*pids));
    if (!pids)
        return -ENOMEM;
    double sum = sweep_cpu(tree->holder);
    size_t count = sweep_list(tree->holder, pids, SWEEP_MAX);
    for (size_t i = 0; i < count; i++)
        sum += sweep_cpu(pids[i]);
    free(pids);
    *ret_seconds = sum;
    return 0;
}

static bool way_release(struct tree *tree) {
    if (!tree->launched) {
        tree->control = fd_close(tree->control);
        return true;
    }
    return tree->control < 0 && tree->leader.pidfd < 0; // else its end frees it
}

const struct tree_ways tree_ways_reaper = {way_prepare, way_attach, way_signal_leader, way_signal, way_kill,   way_pids,
                                           way_cpu,     NULL,       way_adopt,         way_resume, way_release};
