// Starts the worker, and starts it again.
#include "daemon/keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/notify.h"
#include "daemon/os/leader.h"
#include "daemon/os/traced.h"
#include "daemon/watchdog.h"

enum {
    TABLE_MOST = 65536,  // descriptors for which there is room from the start
    FAILED_STOPPING = 5, // starts that came to nothing, before a stop is given up
    FREE_STARTS = 20,    // at once, before the next ones wait for their turn
};
#define STARTS_SECOND 2.0 // in the long run
#define WAIT_FIRST 0.1    // seconds, after one that died before it was ready; doubled with each in a row
#define WAIT_MOST 10.0

struct state {
    const struct keeper *keeper;
    struct kept_head *head;
    sigset_t signals;
    char program[PATH_MAX]; // as it was at the start: an upgrade puts another file there
    pid_t worker;           // 0: none now
    int status;
    double credit, accounted; // starts that need not wait, as of then
    int failed;               // in a row
    double watchdog, looked;  // seconds between looks, 0: none; the last one
    unsigned beats;           // of the worker's, then
    unsigned hung;            // looks in a row that found it where it was
};

// Growing a table that is shared waits for all who may be reading it (expand_files, synchronize_rcu): done once, here.
static void table_grow(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    rlim_t most = MIN(limit.rlim_max, (rlim_t)TABLE_MOST);
    struct rlimit raised = {MAX(limit.rlim_cur, most), limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)most - 1);
    fd_close(fd);
    setrlimit(RLIMIT_NOFILE, &limit); // what jobs are given is what we were given
}

// Not fork: the descriptor table is one. The C library keeps its thread's id where the kernel is told to put it.
static pid_t worker_clone(void) {
    int *tid = NULL;
    if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) < 0)
        return -errno;
    const unsigned long flags = CLONE_FILES | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
#if defined(__x86_64__)
    long r = syscall(SYS_clone, flags, 0, NULL, tid, 0);
#else
    long r = syscall(SYS_clone, flags, 0, NULL, 0, tid);
#endif
    return r < 0 ? -errno : (pid_t)r;
}

static void worker_start(struct state *s) {
    s->head->starts++;
    s->hung = 0;
    pid_t pid = worker_clone();
    if (pid == 0) {
        int status = s->keeper->work(s->keeper->data);
        fflush(NULL);
        _exit(status);
    }
    s->worker = MAX(pid, 0);
    s->status = W_EXITCODE(WORKER_FAILED, 0);
    if (pid < 0)
        log_error(s->keeper->log, "keeper: a worker can't be started: %s", strerror(-pid));
    else if (s->head->is_stopping)
        kill(pid, SIGTERM);
}

static void reap(struct state *s) {
    for (;;) {
        int status;
        struct rusage usage;
        // Where the journal is full the dead stay what they are, and keep their status: all but the worker.
        pid_t whom = kept_journal_room(s->head) ? -1 : s->worker > 0 ? s->worker : 0;
        pid_t pid = whom == 0 ? 0 : wait4(whom, &status, WNOHANG, &usage);
        if (pid <= 0)
            return;
        if (pid == s->worker) {
            s->worker = 0;
            s->status = status;
            return;
        }
        if (traced_release(pid, status))
            continue;
        const struct leader_exit end = leader_exit_from(status, &usage);
        kept_journal_put(s->head, pid, &end);
        const uint64_t one = 1;
        if (write(s->head->news, &one, sizeof(one)) < 0) {
            // It is full of news already.
        }
    }
}

static void answer(struct state *s) {
    unsigned asks = __atomic_exchange_n(&s->head->asks, 0, __ATOMIC_SEQ_CST);
    if (asks & KEPT_ASK_RELOADING) {
        char text[80];
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(now_mono() * 1e6));
        notify_send(text);
    }
    if (asks & KEPT_ASK_READY) {
        s->head->was_ready = true;
        notify_send("READY=1");
    }
    if (asks & KEPT_ASK_STOPPING)
        notify_send("STOPPING=1");
}

static void on_signal(struct state *s, int signal) {
    if (signal == SIGUSR1)
        answer(s);
    if (signal == SIGTERM || signal == SIGINT)
        s->head->is_stopping = true; // also for a worker that is yet to come
    if ((signal == SIGTERM || signal == SIGINT || signal == SIGHUP) && s->worker > 0)
        kill(s->worker, signal); // our child, not reaped: the number is its own
    reap(s);
}

// Sleeps until a signal comes, at most so long; negative: for ever.
static void wait_signal(struct state *s, double seconds) {
    const struct timespec time = {.tv_sec = (time_t)seconds,
                                  .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    int signal = sigtimedwait(&s->signals, NULL, seconds < 0 ? NULL : &time);
    if (signal > 0)
        on_signal(s, signal);
}

// The next one starts at once; those of one that dies again and again wait, and so much longer where none gets ready.
static void wait_before_restart(struct state *s) {
    double wait = 0;
    double now = now_mono();
    s->credit = MIN(s->credit + (now - s->accounted) * STARTS_SECOND, (double)FREE_STARTS) - 1;
    s->accounted = now;
    s->failed = s->head->ready_start == s->head->starts ? 0 : s->failed + 1;
    if (s->credit < 0)
        wait = -s->credit / STARTS_SECOND;
    for (int i = 1; i < s->failed; i++)
        wait = MIN(MAX(wait * 2, WAIT_FIRST), WAIT_MOST);
    if (wait <= 0)
        return;
    log_error(s->keeper->log, "keeper: the worker dies again and again (%u starts): the next one starts in %.1f s",
              s->head->starts, wait);
    const bool was_stopping = s->head->is_stopping;
    double until = now_mono() + wait, left = wait;
    while (left > 0 && s->head->is_stopping == was_stopping) { // to be stopped it starts at once, but once
        wait_signal(s, left);
        left = until - now_mono();
    }
}

static void tell_death(const struct state *s) {
    const struct log *log = s->keeper->log;
    if (WIFSIGNALED(s->status))
        log_error(log, "keeper: the worker was killed by signal %d (%s)%s: starting another; jobs run on",
                  WTERMSIG(s->status), strsignal(WTERMSIG(s->status)), WCOREDUMP(s->status) ? ", core dumped" : "");
    else
        log_error(log, "keeper: the worker ended with status %d: starting another; jobs run on",
                  WEXITSTATUS(s->status));
}

// The worker has left everything in order for whoever comes: a newer program, if there is one.
static void exec_again(const struct state *s) {
    fcntl(s->head->fd, F_SETFD, 0);
    fcntl(s->head->news, F_SETFD, 0);
    execv(s->program, s->keeper->argv); // signals stay blocked: none is lost on the way
    log_error(s->keeper->log, "keeper: %s: %s: the present program goes on", s->program, strerror(errno));
}

// With a watchdog (sd_watchdog_enabled(3)) the manager hears of us as long as the worker's loop turns; where it does not,
// the worker is replaced before the manager would end all.
static void watch(struct state *s) {
    if (s->watchdog <= 0) {
        wait_signal(s, -1);
        return;
    }
    double left = s->looked + s->watchdog - now_mono();
    if (left > 0) {
        wait_signal(s, left);
        return;
    }
    unsigned beats = __atomic_load_n(&s->head->beats, __ATOMIC_ACQUIRE);
    if (beats == s->beats && s->head->ready_start == s->head->starts && s->worker > 0) {
        log_error(s->keeper->log, "keeper: the worker has not moved for %.0f s: killing it", s->watchdog);
        kill(s->worker, s->hung++ == 0 ? SIGABRT : SIGKILL); // one that is stopped ends of nothing else
    } else {
        s->hung = 0;
    }
    s->beats = beats;
    s->looked = now_mono();
    notify_send("WATCHDOG=1");
}

static int keeper_open(struct state *s) {
    struct kept_head *head = s->head;
    ssize_t n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 1);
    s->program[MAX(n, 0)] = 0;
    sigfillset(&s->signals);
    sigprocmask(SIG_SETMASK, &s->signals, NULL); // the worker opens its own mask
    sigemptyset(&s->signals);
    const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        sigaddset(&s->signals, wanted[i]);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    s->watchdog = watchdog_seconds() / 2;
    s->looked = now_mono();
    if (head->keeper == getpid())
        return 0; // after an exec
    table_grow();
    head->keeper = getpid();
    if (head->starts == 0) {
        head->started_wall = now_wall();
        head->started_mono = now_mono();
    }
    head->is_stopping = head->was_ready = false;
    head->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return head->news < 0 ? -errno : 0;
}

int keeper_run(const struct keeper *keeper) {
    struct state s = {.keeper = keeper, .head = keeper->kept->head, .credit = FREE_STARTS, .accounted = now_mono()};
    int r = keeper_open(&s);
    if (r < 0) {
        log_error(keeper->log, "keeper: %s", strerror(-r));
        return WORKER_FAILED;
    }
    for (;;) {
        worker_start(&s);
        if (s.worker == 0 && s.head->starts == 1) { // PR_GET_TID_ADDRESS needs CONFIG_CHECKPOINT_RESTORE
            log_warning(keeper->log, "keeper: this kernel does not let us: jobs end with this one process");
            s.head->keeper = 0;
            return keeper->work(keeper->data);
        }
        while (s.worker > 0)
            watch(&s);
        bool exited = WIFEXITED(s.status);
        if (exited && WEXITSTATUS(s.status) == WORKER_DONE)
            return WORKER_DONE;
        if (exited && WEXITSTATUS(s.status) == WORKER_FAILED && !s.head->was_ready)
            return WORKER_FAILED;
        if (exited && WEXITSTATUS(s.status) == WORKER_LEFT && (r = keeper->leave(keeper->data)) == 0)
            return WORKER_DONE;
        if (exited && WEXITSTATUS(s.status) == WORKER_LEFT) {
            log_error(keeper->log, "keeper: the service manager takes no descriptors: %s", strerror(-r));
            s.head->leave_failed = true;
        }
        if (exited && WEXITSTATUS(s.status) == WORKER_REEXEC)
            exec_again(&s);
        else
            tell_death(&s);
        if (s.head->is_stopping && s.failed >= FAILED_STOPPING) {
            log_error(keeper->log, "keeper: no worker gets ready to end the jobs: leaving them to the next supd");
            return WORKER_FAILED;
        }
        wait_before_restart(&s);
    }
}
