// supd-reaper: the parent of one job's leader and the subreaper of its tree, where there is no cgroup.
//
// It tells the leader's end, and that nobody is left only when wait(2) says so. It sleeps unless something
// happens. If the daemon goes away it ends the tree, or, where the job's policy is to keep it, watches on.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/os/reaper_wire.h"
#include "daemon/os/sweep.h"
#include "daemon/os/traced.h"

enum {
    CONTROL = 3,
    ROUND_MIN_MS = 1,
    ROUND_MAX_MS = 1000,
    MANY = 32,       // processes, which may be made faster than they are killed
    CALM_ROUNDS = 4, // of killing, after which it is clear that they are
    QUIET = 3,
    ORDERS = 512, // more than the socket has room for
    FREEZES = 32, // looks for those that still run, in one round
    BREATH = 5,   // doublings of the millisecond that whoever is told to stop gets for it
};

struct reaper {
    pid_t leader;
    bool leader_ended, kill_rest, keep, killing, hurried, alone; // alone: the daemon is gone
    int signals, round_ms, rounds;
    struct reaper_order orders[ORDERS]; // that wait
    size_t count;
    bool measures; // there is a thread for it, which waits for `asked`
    sem_t asked;
};

// Where we are of one user with the job it may have taken from us what we need (prlimit(2)). Our end is told to the daemon by
// itself, and what we leave behind comes to it.
static _Noreturn void give_up(void) {
    _exit(1);
}

// Nobody else has reason to speak on this socket, and our few words fit: it is full only where somebody means harm.
static void tell(struct reaper *r, int told, int status, const struct rusage *usage) {
    struct reaper_report report = {.told = told, .status = status};
    struct pollfd room = {.fd = CONTROL, .events = POLLOUT};
    if (usage)
        report.usage = *usage;
    if (r->alone || send(CONTROL, &report, sizeof(report), MSG_NOSIGNAL) >= 0 || errno != EAGAIN)
        return;
    poll(&room, 1, ROUND_MAX_MS);
    if (send(CONTROL, &report, sizeof(report), MSG_NOSIGNAL) < 0 && errno == EAGAIN)
        give_up();
}

// Reaps whoever has ended. Returns false when there is nobody left at all.
static bool reap(struct reaper *r) {
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid == 0)
            return true;
        if (pid < 0)
            return errno != ECHILD;
        if (traced_release(pid, status))
            continue;
        r->round_ms = ROUND_MIN_MS;
        if (pid != r->leader || r->leader_ended)
            continue;
        r->leader_ended = true;
        r->killing |= r->kill_rest;
        tell(r, REAPER_EXIT, status, &usage);
    }
}

static struct timeval time_of(double seconds) {
    return (struct timeval){(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
}

// Beside the rest, as a look may never come back. Without a word where there is no room for it.
static void *measure(void *data) {
    struct reaper *r = data;
    for (;;) {
        while (sem_wait(&r->asked) < 0)
            ;
        struct timespec before = {0}, after = {0};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        struct reaper_report report = {.told = REAPER_USED};
        report.usage.ru_utime = time_of(sweep_sum(getpid(), sweep_cpu));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        report.usage.ru_stime = time_of((double)(after.tv_sec - before.tv_sec) +
                                        (double)(after.tv_nsec - before.tv_nsec) * 1e-9);
        send(CONTROL, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return NULL;
}

static void ask(struct reaper *r) {
    pthread_t thread;
    if (!r->measures)
        r->measures = sem_init(&r->asked, 0, 0) == 0 && pthread_create(&thread, NULL, measure, r) == 0;
    if (r->measures)
        sem_post(&r->asked);
}

static void carry_out(const struct reaper *r, const struct reaper_order *order) {
    if (order->ask == REAPER_SIGNAL)
        sweep_signal(getpid(), order->value);
    else if (order->ask == REAPER_SIGNAL_LEADER && !r->leader_ended)
        kill(r->leader, order->value); // our child, not reaped yet: nobody else can have its number
}

// All that is there. Signals that are the same and wait together are one, as they are to the kernel.
static void take_orders(struct reaper *r) {
    struct reaper_order order;
    ssize_t n = (ssize_t)sizeof(order);
    while (r->count < ORDERS && (n = recv(CONTROL, &order, sizeof(order), MSG_DONTWAIT)) == (ssize_t)sizeof(order)) {
        bool is_known = false;
        for (size_t i = 0; i < r->count; i++)
            is_known |= r->orders[i].ask == order.ask && r->orders[i].value == order.value && order.value < SIGRTMIN;
        r->killing |= order.ask == REAPER_KILL;
        if (order.ask == REAPER_CPU)
            ask(r);
        else if (!is_known)
            r->orders[r->count++] = order;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        r->alone = true;
        r->killing |= !r->keep;
        close(CONTROL);
    }
}

// One at a time: each takes a look at the whole tree, and a kill, or somebody's end, does not wait for those before it.
static void obey(struct reaper *r) {
    if (!r->alone)
        take_orders(r);
    if (r->count == 0 || r->killing)
        return;
    carry_out(r, &r->orders[0]);
    memmove(&r->orders[0], &r->orders[1], --r->count * sizeof(r->orders[0]));
}

// While killing, another round comes when somebody died, at the latest after a while that grows: what forks on
// is met again, and what cannot die (a process in the kernel's hands) costs next to nothing.
static void rest(struct reaper *r) {
    struct pollfd fds[2] = {{.fd = r->signals, .events = POLLIN}, {.fd = r->alone ? -1 : CONTROL, .events = POLLIN}};
    if (poll(fds, 2, r->killing ? r->round_ms : r->count > 0 ? 0 : -1) < 0 && errno != EINTR && errno != ENOMEM)
        give_up();
    if (r->killing && r->round_ms < ROUND_MAX_MS)
        r->round_ms *= 2;
    struct signalfd_siginfo info;
    while (read(r->signals, &info, sizeof(info)) > 0)
        ;
    if (fds[1].revents || r->count > 0)
        obey(r);
}

// Whoever is killed makes room for others to be forked, where that is all that held them back, and hundreds of them leave
// us little of the processor. So in the end they are stopped first, and we go before them where we may.
static void kill_round(struct reaper *r) {
    const struct sched_param first = {.sched_priority = 1};
    pid_t pids[MANY];
    if (!sweep_can())
        give_up();
    bool calm = r->rounds++ < CALM_ROUNDS && sweep_list(getpid(), pids, MANY) < MANY;
    if (!calm && !r->hurried)
        sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
    r->hurried |= !calm;
    // Whoever changes parents during a look may be overlooked: nobody does any more once several looks have found nobody.
    for (int i = 0, quiet = 0; r->hurried && i < FREEZES && quiet < QUIET; i++) {
        quiet = sweep_freeze(getpid()) > 0 ? 0 : quiet + 1;
        if (quiet == 0)
            poll(NULL, 0, 1 << MIN(i, BREATH)); // reapers before them on all processors keep them from stopping
    }
    if (r->hurried)
        sweep_kill_frozen(getpid());
    else
        sweep_signal(getpid(), SIGKILL);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    struct reaper r = {
        .leader = atoi(argv[1]),
        .kill_rest = strcmp(argv[2], "kill") == 0,
        .keep = strcmp(argv[2], "keep") == 0,
        .round_ms = ROUND_MIN_MS,
    };
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "supd-reaper");
    setsid();
    if (chdir("/") < 0)
        return 2;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    r.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    // From here on nothing but 0 to 3 and what was opened here is open: whoever waits for the end of a pipe must
    // not wait for us.
    while (reap(&r)) {
        if (r.killing)
            kill_round(&r);
        rest(&r);
    }
    tell(&r, REAPER_EMPTY, 0, NULL);
    return 0;
}
