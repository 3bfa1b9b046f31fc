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

// Looks at a reaper that should have been done long ago, each twice as long after the one before; and at one that is ending.
#define LOOK_FIRST 0.5
#define LOOK_MOST 8.0
#define LOOK_ENDING 0.001
enum {
    FROZEN_LOOKS = 2,  // in a row: somebody keeps it from its work
    SWEEP_LOOK = 256,  // processes that are killed in its place, a look
    FORGED_MOST = 256, // messages of others, passed over in one turn
};

static int way_prepare(struct tree *tree, struct tree_launch *ret_launch) {
    int ends[2];
    const int on = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)); // who says it is looked at in report_peek
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

// The reaper exits behind its last message. It is ours to reap, but not to wait for: whoever traces it may keep it.
static void holder_over(struct tree *tree) {
    struct tree_host *host = tree->host;
    if (tree->control < 0)
        return;
    ev_io_stop(host->loop, &tree->control_io);
    ev_timer_stop(host->loop, &tree->look);
    tree->spent = TAKE_FD(tree->control);
    strays_unknow(host->strays, tree);
    tree->is_known = false;
    strays_reap(host->strays, tree->holder);
}

static void look_after(struct tree *tree, double seconds) {
    struct ev_loop *loop = tree->host->loop;
    ev_timer_stop(loop, &tree->look);
    ev_timer_set(&tree->look, seconds, seconds);
    ev_timer_start(loop, &tree->look);
}

static void holder_ends(struct tree *tree);

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

// An orphaned leader has ended, and the keeper has reaped it: its reaper is gone, or about to be.
static void on_keepers_leader(struct leader *leader, const struct leader_exit *end) {
    struct tree *tree = leader->data;
    tree->orphan_end = *end;
    leader_over(leader, tree->host->loop);
    if (tree->control < 0)
        tell_unproven(tree, end);
    else
        holder_ends(tree);
}

static void leader_adopt(struct tree *tree) {
    if (tree->host->adopted && !tree->leader_told && !tree->leader.is_adopted)
        adopted_add(tree->host->adopted, &tree->leader, on_keepers_leader, tree);
}

// The reaper was killed. Its leader, if it has not ended, has come to us: it is ended and its status is ours to read.
static void holder_lost(struct tree *tree) {
    struct leader_exit end = tree->orphan_end;
    if (!end.known)
        end.exit_code = -1;
    holder_over(tree);
    if (!tree->leader_told && !end.known) {
        tree->leader.pidfd = (int)syscall(SYS_pidfd_open, tree->leader.pid, 0);
        if (tree->leader.pidfd >= 0 && sweep_parent(tree->leader.pid) != tree->host->parent)
            tree->leader.pidfd = fd_close(tree->leader.pidfd); // the number is another's by now
        if (tree->leader.pidfd >= 0) {
            leader_signal(&tree->leader, SIGKILL);
            leader_adopt(tree); // once more, where there was no memory for it
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

// What the reaper says itself: who is of one user with it may have got hold of its socket (pidfd_getfd(2)), and speak for it.
// Returns as recv(2).
static ssize_t report_peek(const struct tree *tree, struct reaper_report *report) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } with;
    for (int i = 0; i < FORGED_MOST; i++) {
        struct iovec data = {report, sizeof(*report)};
        struct msghdr message = {
            .msg_iov = &data, .msg_iovlen = 1, .msg_control = &with, .msg_controllen = sizeof(with)};
        struct ucred from = {.pid = 0}; // 0: of one that was started before these were asked for
        ssize_t n = recvmsg(tree->control, &message, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC);
        struct cmsghdr *part = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
            memcpy(&from, CMSG_DATA(part), sizeof(from));
        if (n <= 0 || from.pid == 0 || from.pid == tree->holder)
            return n;
        recv(tree->control, report, sizeof(*report), MSG_DONTWAIT);
    }
    errno = EAGAIN;
    return -1;
}

static double seconds_of(const struct timeval *time) {
    return (double)time->tv_sec + (double)time->tv_usec * 1e-6;
}

// Its end closes its socket first, and gives its children to the next subreaper then.
static bool holder_gone(const struct tree *tree) {
    return sweep_parent(tree->holder) != (tree->is_adopted ? tree->host->parent : getpid()) ||
           strchr("ZX", sweep_state(tree->holder));
}

static void holder_end(const struct tree *tree) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, tree->holder, 0);
    if (pidfd >= 0 && !holder_gone(tree))
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

// It is taken once it has been noted: the next worker would find it again.
static void told(struct tree *tree, struct reaper_report *report) {
    if (report->told == REAPER_USED) {
        tree->is_asked = false;
        recv(tree->control, report, sizeof(*report), MSG_DONTWAIT);
        if (tree->listener)
            tree->listener->used(tree, seconds_of(&report->usage.ru_utime), seconds_of(&report->usage.ru_stime),
                                 tree->data);
        return;
    }
    if (report->told == REAPER_EXIT) {
        struct leader_exit end = leader_exit_from(report->status, &report->usage);
        tree->leader_told = true;
        if (tree->leader.note)
            leader_note(tree->leader.note, &end);
        recv(tree->control, report, sizeof(*report), MSG_DONTWAIT);
        if (tree->rest == TREE_REST_KILL)
            look_after(tree, LOOK_FIRST);
        tree_tell_exit(tree, &end);
        return;
    }
    if (!tree->leader_told) { // nobody says this without that
        holder_ends(tree);
        return;
    }
    bool free_now = !tree->listener;
    if (tree->is_adopted)
        holder_end(tree); // whoever stops it on its last steps: the keeper lets nobody go on
    if (tree->leader.is_adopted)
        adopted_remove(tree->host->adopted, &tree->leader);
    holder_over(tree);
    tree_tell_empty(tree);
    if (free_now)
        tree_drop(tree);
}

static void on_control(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct tree *tree = io->data;
    struct reaper_report report;
    ssize_t n = report_peek(tree, &report);
    // An order that the reaper did not read any more is told as ECONNRESET, once, ahead of what it had said before.
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
        return;
    if (n == (ssize_t)sizeof(report))
        told(tree, &report);
    else
        holder_ends(tree);
}

// A tracer may hold it even in its end (PTRACE_O_TRACEEXIT): then its children stay its own, and are killed where they are.
static bool tree_end_held(struct tree *tree) {
    pid_t leader = tree->leader.pid;
    sweep_kill_some(tree->holder, SWEEP_LOOK);
    return tree->leader_told || sweep_parent(leader) != tree->holder || sweep_state(leader) == 'Z';
}

// Whoever is of one user with its reaper may stop it, hold it by ptrace(2), or keep its socket open behind its end. It is not
// waited for: it is killed, and the tree then ended without it.
static void on_look(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct tree *tree = timer->data;
    struct reaper_report report;
    if (holder_gone(tree)) {
        if (report_peek(tree, &report) == (ssize_t)sizeof(report))
            told(tree, &report);
        else
            holder_lost(tree);
        return;
    }
    if (tree->is_lost)
        return; // soon
    tree->frozen = strchr("Tt", sweep_state(tree->holder)) ? tree->frozen + 1 : 0;
    if (tree->frozen > FROZEN_LOOKS && tree_end_held(tree)) {
        holder_lost(tree);
        return;
    }
    if (tree->frozen >= FROZEN_LOOKS)
        holder_end(tree);
    if (tree->killing)
        order(tree, REAPER_KILL, 0); // there may have been no room for it, behind a flood of signals
    look_after(tree, MIN(timer->repeat * 2, LOOK_MOST));
}

// Without a last word: what it leaves behind is ours once it is gone.
static void holder_ends(struct tree *tree) {
    tree->is_lost = true;
    ev_io_stop(tree->host->loop, &tree->control_io);
    if (holder_gone(tree))
        holder_lost(tree);
    else
        look_after(tree, LOOK_ENDING);
}

void tree_holder_ended(struct tree *tree) {
    look_after(tree, LOOK_ENDING); // what it has said comes first
}

static void way_adopt(struct tree *tree) {
    ev_init(&tree->look, on_look);
    ev_io_init(&tree->control_io, on_control, tree->control, EV_READ);
    tree->look.data = tree->control_io.data = tree;
    leader_adopt(tree);
    if (tree->control < 0)
        return;
    strays_know(tree->host->strays, tree);
    tree->is_known = true;
}

static void way_kill(struct tree *tree) {
    if (order(tree, REAPER_KILL, 0) != -ESRCH && !tree->is_lost)
        look_after(tree, LOOK_FIRST);
}

static void way_watch(struct tree *tree) {
    ev_io_start(tree->host->loop, &tree->control_io);
    if (tree->killing)
        way_kill(tree);
}

static void way_attach(struct tree *tree) {
    way_adopt(tree);
    way_watch(tree);
}

static void way_resume(struct tree *tree) {
    if (!tree->leader_told && tree->leader.note->known) {
        tree->leader_told = true;
        tree_tell_exit(tree, tree->leader.note);
    }
    if (tree->control >= 0)
        way_watch(tree);
    else
        tell_unproven(tree, tree->leader.note);
}

static int way_signal_leader(struct tree *tree, int sig) {
    return tree->leader_told ? -ESRCH : order(tree, REAPER_SIGNAL_LEADER, sig);
}

static int way_signal(struct tree *tree, int sig) {
    return order(tree, REAPER_SIGNAL, sig);
}

static int way_pids(struct tree *tree, pid_t *pids, size_t max) {
    return tree->control < 0 ? -ESRCH : (int)sweep_list(tree->holder, pids, max);
}

// By its reaper, which has a thread to lose. Until that answers, what those who are there have used themselves.
static int way_cpu(struct tree *tree, double *ret_seconds) {
    if (tree->control < 0)
        return -ESRCH;
    if (!tree->is_asked) {
        int r = order(tree, REAPER_CPU, 0);
        tree->is_asked = r == 0;
        return r < 0 ? r : -EINPROGRESS;
    }
    *ret_seconds = sweep_sum(tree->holder, sweep_clock);
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
