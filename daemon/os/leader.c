// A direct child by its pidfd (pidfd_open(2), Linux 5.3; waitid with P_PIDFD, 5.4).
#include "daemon/os/leader.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"

#define HELD_FIRST 0.005 // seconds
#define HELD_MOST 1.0

// Its pidfd says that it has ended, again and again: it is looked at by the clock meanwhile.
struct leader_held {
    struct ev_timer timer;
    struct leader *leader;
    double wait;
};

static void on_held(struct ev_loop *loop, struct ev_timer *timer, int events) {
    ev_io_start(loop, &((struct leader_held *)timer->data)->leader->io);
}

static void leader_hold(struct leader *leader, struct ev_loop *loop) {
    struct leader_held *held = leader->held;
    if (!held) {
        held = leader->held = calloc(1, sizeof(*held));
        if (!held)
            return; // it is looked at in each turn
        ev_init(&held->timer, on_held);
        held->timer.data = held;
        held->leader = leader;
        held->wait = HELD_FIRST;
    }
    ev_io_stop(loop, &leader->io);
    ev_timer_set(&held->timer, held->wait, 0);
    ev_timer_start(loop, &held->timer);
    held->wait = MIN(held->wait * 2, HELD_MOST);
}

void leader_watch(struct leader *leader, struct ev_loop *loop, void (*ended)(struct ev_loop *, struct ev_io *, int),
                  void *data) {
    ev_io_init(&leader->io, ended, leader->pidfd, EV_READ);
    leader->io.data = data;
    ev_io_start(loop, &leader->io);
}

static struct usage usage_from(const struct rusage *r) {
    return (struct usage){
        .user = (double)r->ru_utime.tv_sec + (double)r->ru_utime.tv_usec * 1e-6,
        .system = (double)r->ru_stime.tv_sec + (double)r->ru_stime.tv_usec * 1e-6,
        .read_bytes = (int64_t)r->ru_inblock * 512,
        .written_bytes = (int64_t)r->ru_oublock * 512,
        .peak_bytes = -1,
        .max_rss_bytes = (int64_t)r->ru_maxrss * 1024,
        .minor_faults = r->ru_minflt,
        .major_faults = r->ru_majflt,
        .voluntary_switches = r->ru_nvcsw,
        .involuntary_switches = r->ru_nivcsw,
    };
}

struct leader_exit leader_exit_from(int status, const struct rusage *usage) {
    bool signaled = WIFSIGNALED(status);
    return (struct leader_exit){
        .known = true,
        .exit_code = signaled ? -1 : WEXITSTATUS(status),
        .signal = signaled ? WTERMSIG(status) : 0,
        .core_dumped = signaled && WCOREDUMP(status),
        .usage = usage_from(usage),
    };
}

void leader_note(struct leader_exit *note, const struct leader_exit *end) {
    struct leader_exit open = *end;
    open.known = false;
    *note = open;
    __atomic_store_n(&note->known, true, __ATOMIC_RELEASE); // last: now it counts
}

bool leader_reap(struct leader *leader, struct ev_loop *loop, struct leader_exit *ret_end) {
    siginfo_t info = {0};
    struct rusage usage = {0};
    struct leader_exit end = {.exit_code = -1};
    // libc's waitid hides the usage that the kernel's gives. Where somebody may have to go on in our place, the end is
    // written down first: it is gone once it is read.
    int keep = leader->note ? WNOWAIT : 0;
    long r = syscall(SYS_waitid, P_PIDFD, leader->pidfd, &info, WEXITED | WNOHANG | keep, &usage);
    if (r == 0 && info.si_pid == 0) {
        leader_hold(leader, loop);
        return false;
    }
    if (r == 0) {
        bool exited = info.si_code == CLD_EXITED;
        end = (struct leader_exit){
            .known = true,
            .exit_code = exited ? info.si_status : -1,
            .signal = exited ? 0 : info.si_status,
            .core_dumped = info.si_code == CLD_DUMPED,
            .usage = usage_from(&usage),
        };
    }
    if (r == 0 && leader->note) {
        leader_note(leader->note, &end);
        syscall(SYS_waitid, P_PIDFD, leader->pidfd, NULL, WEXITED | WNOHANG, NULL);
    }
    leader_over(leader, loop);
    *ret_end = end;
    return true;
}

int leader_signal(const struct leader *leader, int sig) {
    if (leader->pidfd < 0)
        return -ESRCH;
    return syscall(SYS_pidfd_send_signal, leader->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

void leader_over(struct leader *leader, struct ev_loop *loop) {
    if (leader->pidfd < 0)
        return;
    if (leader->held)
        ev_timer_stop(loop, &leader->held->timer);
    free(TAKE_PTR(leader->held));
    ev_io_stop(loop, &leader->io);
    leader->spent = TAKE_FD(leader->pidfd);
}

void leader_close(struct leader *leader) {
    if (leader->spent > 0)
        close(leader->spent);
    leader->spent = 0;
}

void leader_done(struct leader *leader, struct ev_loop *loop) {
    leader_over(leader, loop);
    leader_close(leader);
}
