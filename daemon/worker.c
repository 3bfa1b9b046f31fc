// The daemon put together.
#include "daemon/os/closer.h"
#include "daemon/worker.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/heap.h"
#include "common/util.h"
#include "common/watch.h"
#include "daemon/control/listener.h"
#include "daemon/keeper.h"
#include "daemon/notify.h"
#include "daemon/parts.h"
#include "daemon/renewal.h"
#include "daemon/version.h"
#include "daemon/watchdog.h"

static void worker_stop(struct worker *w) {
    double grace = w->stopping ? 0 : -1; // told twice, it hurries
    if (!w->stopping)
        kept_ask(w->kept->head, KEPT_ASK_STOPPING);
    if (!w->stopping)
        log_info(&w->log, "stopping: ending %lld jobs", (long long)runner_stats(w->runner)->live);
    w->stopping = true;
    control_stop(&w->control);
    const struct cause cause = {REASON_KILLED, KILLER_DAEMON, -1};
    for (struct job *job = registry_newest(w->registry); job; job = job->older)
        if (!job_is_final(job))
            runner_stop(w->runner, job, cause, -1, grace);
}

static void on_stop_call(void *data) {
    worker_stop(data);
}

static void on_stop_signal(struct ev_loop *loop, struct ev_signal *signal, int events) {
    struct worker *w = signal->data;
    if (!w->stopping && signal->signum == SIGTERM && renewal_for_manager(w))
        return;
    worker_stop(w);
}

// Only where somebody wants to hear of it.
static void on_beat(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    __atomic_fetch_add(&w->kept->head->beats, 1, __ATOMIC_RELEASE);
}

// Nobody is left to start another worker, and to take the orphans: what runs is ended while somebody is there to do it.
static void on_keeper(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct worker *w = io->data;
    ev_io_stop(loop, io);
    log_error(&w->log, "the keeper (process %d) is gone: ending all jobs, then leaving", (int)w->kept->head->keeper);
    w->kept->head->keeper = 0; // the number may be another's
    worker_stop(w);
}

static void on_hangup(struct ev_loop *loop, struct ev_signal *signal, int events) {
    struct worker *w = signal->data;
    renewal_on_hangup(w);
}

static void on_end(struct ev_loop *loop, struct ev_prepare *prepare, int events) {
    struct worker *w = prepare->data;
    if (w->leaving ? renewal_may_leave(w) : w->stopping && runner_stats(w->runner)->live == 0)
        ev_break(loop, EVBREAK_ALL);
}

static bool worker_is_idle(const struct worker *w) {
    return w->control.stats.connected == 0 && runner_stats(w->runner)->live == 0;
}

static void on_idle(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    if (!worker_is_idle(w))
        return; // the end of whatever came begins the wait anew
    log_info(&w->log, "nothing to do for %g s: leaving", w->options->idle_exit);
    worker_stop(w);
}

static void on_activity(void *data) {
    struct worker *w = data;
    if (w->listener)
        listener_resume(w->listener);
    rest_later(w);
    if (w->options->idle_exit <= 0 || !worker_is_idle(w))
        return;
    ev_timer_stop(w->loop, &w->idle);
    ev_timer_set(&w->idle, w->options->idle_exit, 0);
    ev_timer_start(w->loop, &w->idle);
}

static void worker_watch(struct worker *w) {
    ev_signal_init(&w->term, on_stop_signal, SIGTERM);
    ev_signal_init(&w->interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&w->hangup, on_hangup, SIGHUP);
    rest_init(w);
    ev_timer_init(&w->idle, on_idle, w->options->idle_exit, 0);
    ev_prepare_init(&w->end, on_end);
    ev_set_priority(&w->end, EV_MINPRI);
    w->term.data = w->interrupt.data = w->hangup.data = w->idle.data = w->end.data = w;
    ev_signal_start(w->loop, &w->term);
    ev_signal_start(w->loop, &w->interrupt);
    ev_signal_start(w->loop, &w->hangup);
    ev_prepare_start(w->loop, &w->end);
    double beat = w->kept->head->keeper > 0 ? watchdog_seconds() / 4 : 0;
    ev_timer_init(&w->beat, on_beat, beat, beat);
    w->beat.data = w;
    if (beat > 0)
        ev_timer_start(w->loop, &w->beat);
    w->keeper_fd = w->kept->head->keeper > 0 ? (int)syscall(SYS_pidfd_open, w->kept->head->keeper, 0) : -1;
    ev_io_init(&w->keeper, on_keeper, w->keeper_fd, EV_READ);
    w->keeper.data = w;
    if (w->keeper_fd >= 0)
        ev_io_start(w->loop, &w->keeper);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); // the keeper had all of them blocked
    on_activity(w);
}

static void worker_ready(const struct worker *w) {
    __atomic_fetch_add(&w->kept->head->beats, 1, __ATOMIC_RELEASE); // it has moved since the keeper looked
    w->kept->head->ready_start = w->kept->head->starts;
    if (w->kept->head->keeper > 0)
        kept_ask(w->kept->head, KEPT_ASK_READY);
    else
        notify_send("READY=1");
}

int worker_run(const struct options *options, struct config_kept *settings, struct kept *kept) {
    struct worker w = {.options = options,
                       .settings = *config_kept_now(settings),
                       .settings_kept = settings,
                       .kept = kept,
                       .resumed = kept->head->listener > 0,
                       .reaper_fd = -1,
                       .keeper_fd = -1,
                       .instance = {.runtime_lock = -1, .state_lock = -1}};
    log_init(&w.log, options->log_level);
    heap_init();
    ev_set_allocator(heap_realloc);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a full disk is an error of write, not an end
    umask(077);
    if (kept->head->keeper > 0)
        prctl(PR_SET_NAME, "supd-worker", 0, 0, 0);
    if (kept->head->started_wall <= 0) {
        kept->head->started_wall = now_wall();
        kept->head->started_mono = now_mono();
    }
    if (options->settings.privileges ==
        PRIVILEGES_NO_NEW) // before there are threads: each has its own; children inherit it
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int r = parts_take_over(kept);
    w.loop = r == 0 ? parts_loop() : NULL;
    if (!w.loop) {
        log_error(&w.log, "no event loop");
        return WORKER_FAILED;
    }
    watch_init(w.loop, &w.nudge);
    w.control.stop = on_stop_call;
    w.control.activity = on_activity;
    r = closer_new(w.loop, &w.closer);
    if (r == 0)
        r = parts_open(&w);
    if (r == 0)
        r = parts_go_on(&w);
    if (r < 0 && w.resumed)
        return WORKER_FAILED; // all that is kept stays for the next one
    if (r == 0) {
        worker_watch(&w);
        log_info(&w.log, "supd %s, process %d: listening on %s; tree: %s", SUPD_VERSION, (int)getpid(), options->socket,
                 tree_host_why(w.trees));
        worker_ready(&w);
        ev_run(w.loop, 0);
    }
    if (w.leaving && !w.stopping)
        return renewal_leave(&w);
    log_info(&w.log, "stopped");
    parts_close(&w);
    return r < 0 ? WORKER_FAILED : WORKER_DONE;
}
