// The daemon put together.
#include "daemon/worker.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/unixsock.h"
#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/control.h"
#include "daemon/control/listener.h"
#include "daemon/control/recovery.h"
#include "daemon/instance.h"
#include "daemon/keeper.h"
#include "daemon/notify.h"
#include "daemon/os/leader.h"
#include "daemon/version.h"

enum {
    DESCRIPTORS_MOMENT = 9, // open for a moment: files being read, a log that grows, a client being refused
    DESCRIPTORS_LEAST = 5,  // a client with a job
    MEMORY_JOBS = 10000,    // final ones, that no history has
    MEMORY_BYTES = 256 << 20,
};

// Larger allocations are the kernel's at once when they are freed. Without this the C library learns from the first
// large one to keep them.
enum { MALLOC_OWN = 256 * 1024 };

struct worker {
    const struct options *options;
    struct kept *kept;
    bool resumed; // another worker was here before
    struct adopted *adopted;
    struct log log;
    struct ev_loop *loop;
    struct instance instance;
    struct identity identity;
    struct launcher *launcher;
    struct descriptors descriptors;
    struct tree_host *trees;
    struct spool_host *spools;
    struct registry *registry;
    struct history *history;
    char *store_trouble; // owned: why there is none
    struct runner *runner;
    struct control control;
    struct listener *listener;
    int reaper_fd;
    struct ev_signal term, interrupt, hangup;
    struct ev_timer idle;
    struct ev_io keeper; // its end
    int keeper_fd;
    struct ev_prepare end; // leaves once the last job is final and its answers are queued
    bool stopping;
};

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
    worker_stop(signal->data);
}

// Nobody is left to start another worker, and to take the orphans: what runs is ended while somebody is there to do it.
static void on_keeper(struct ev_loop *loop, struct ev_io *io, int events) {
    struct worker *w = io->data;
    ev_io_stop(loop, io);
    log_error(&w->log, "the keeper (process %d) is gone: ending all jobs, then leaving", (int)w->kept->head->keeper);
    worker_stop(w);
}

static void on_hangup(struct ev_loop *loop, struct ev_signal *signal, int events) {
    struct worker *w = signal->data;
    log_info(&w->log, "SIGHUP: settings are read at the start only");
}

static void on_end(struct ev_loop *loop, struct ev_prepare *prepare, int events) {
    struct worker *w = prepare->data;
    if (w->stopping && runner_stats(w->runner)->live == 0)
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
    if (w->options->idle_exit <= 0 || !worker_is_idle(w))
        return;
    ev_timer_stop(w->loop, &w->idle);
    ev_timer_set(&w->idle, w->options->idle_exit, 0);
    ev_timer_start(w->loop, &w->idle);
}

// The program that holds a tree where there is no cgroup: beside supd, in its build tree, or installed.
static int reaper_open(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[MAX(n, 0)] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    const char *const formats[] = {"%s/os/supd-reaper", "%s/supd-reaper", SUPD_LIBEXECDIR "/supd/supd-reaper"};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        char path[PATH_MAX + 32];
        if (i < 2)
            snprintf(path, sizeof(path), i == 0 ? "%s/os/supd-reaper" : "%s/supd-reaper", self);
        else
            snprintf(path, sizeof(path), "%s", formats[i]);
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

static int worker_fail(struct worker *w, const char *what, int r) {
    log_error(&w->log, "%s: %s", what, strerror(-r));
    return r;
}

static int worker_open_stores(struct worker *w) {
    const struct config *config = &w->options->settings;
    const struct tree_host_parts trees = {.loop = w->loop,
                                          .way = config->tree,
                                          .name = w->instance.name,
                                          .reaper_fd = w->reaper_fd,
                                          .descriptors = &w->descriptors,
                                          .adopted = w->adopted,
                                          .keeper = w->kept->head->keeper,
                                          .resumed = w->resumed};
    int r = tree_host_new(&trees, &w->trees);
    if (r < 0)
        return worker_fail(w, "tree: the way that was asked for does not work here", r);
    const struct spool_host_parts spools = {.path = w->options->runtime_dir,
                                            .name = w->instance.name,
                                            .cap = config->output_bytes,
                                            .scratch = w->kept->head->scratch,
                                            .resumed = w->resumed};
    r = spool_host_new(&spools, &w->spools);
    return r < 0 ? worker_fail(w, "the directory for output", r) : 0;
}

static int worker_open_os(struct worker *w) {
    const struct config *config = &w->options->settings;
    char why[400] = "";
    struct kept_head *head = w->kept->head;
    int r = launcher_new(w->loop, config->spawn, (int)config->launchers, head, &w->launcher);
    if (r < 0)
        return worker_fail(w, "launchers", r);
    const struct instance_parts instance = {.socket = w->options->socket,
                                            .runtime_dir = w->options->runtime_dir,
                                            .state_dir = w->options->state_dir,
                                            .locks = head->locks,
                                            .pid = head->keeper > 0 ? head->keeper : getpid()};
    r = instance_open(&w->instance, &instance, why);
    if (r < 0) {
        log_error(&w->log, "%s", why);
        return r;
    }
    r = identity_open(geteuid(), &w->identity);
    if (r < 0)
        return worker_fail(w, "user", r);
    w->reaper_fd = reaper_open();
    r = head->keeper > 0 ? adopted_new(w->loop, head, &w->adopted) : 0;
    if (r < 0)
        return worker_fail(w, "the keeper's journal", r);
    return worker_open_stores(w);
}

static bool is_kept(int64_t id, void *data) {
    const struct worker *w = data;
    for (const void *job = NULL; w->resumed && (job = kept_next(w->kept, KEPT_JOB, job));)
        if (kept_id(job) == id)
            return true;
    return false;
}

// A store that can't be had is no reason not to run jobs.
static void worker_open_history(struct worker *w) {
    const struct config *config = &w->options->settings;
    struct kept_head *head = w->kept->head;
    int64_t next_job = 1, next_event = 1;
    const struct history_parts parts = {.loop = w->loop,
                                        .directory = w->options->state_dir,
                                        .jobs_max = config->history_jobs,
                                        .bytes_max = config->history_bytes,
                                        .is_live = is_kept,
                                        .live_data = w,
                                        .listener = &archive_listener,
                                        .data = &w->control};
    char *note = NULL;
    if (config->store == STORE_NONE)
        return;
    int r = history_open(&parts, &w->history, &next_job, &next_event, &note);
    if (r < 0)
        log_error(&w->log, "no history: %s: jobs run on, and are forgotten with the daemon", note ? note : strerror(-r));
    else if (note)
        log_error(&w->log, "%s", note);
    if (r < 0)
        w->store_trouble = TAKE_PTR(note);
    free(note);
    head->next_job = MAX(head->next_job, next_job);
    if (!w->resumed && next_event - 1 > head->last_event) {
        head->last_event = next_event - 1;
        head->first_event = next_event;
    }
}

static int worker_open_runner(struct worker *w) {
    const struct config *config = &w->options->settings;
    worker_open_history(w);
    w->registry = registry_new(w->kept->head->next_job);
    if (!w->registry)
        return worker_fail(w, "registry", -ENOMEM);
    const struct runner_parts parts = {
        .loop = w->loop,
        .launcher = w->launcher,
        .descriptors = &w->descriptors,
        .trees = w->trees,
        .spools = w->spools,
        .registry = w->registry,
        .kept = w->kept,
        .identity = &w->identity,
        .live_max = config->max_live_jobs,
        .history = w->history,
        .history_max = MIN(config->history_jobs, (int64_t)MEMORY_JOBS),
        .history_bytes_max = MIN(config->history_bytes, (int64_t)MEMORY_BYTES),
    };
    int r = runner_new(&parts, &control_runner_listener, &w->control, &w->runner);
    return r < 0 ? worker_fail(w, "runner", r) : 0;
}

static int worker_open_control(struct worker *w) {
    const struct config *config = &w->options->settings;
    w->control = (struct control){
        .loop = w->loop,
        .log = &w->log,
        .runner = w->runner,
        .registry = w->registry,
        .kept = w->kept,
        .history = w->history,
        .store_trouble = w->store_trouble,
        .refuses_undurable = config->store_full == STORE_FULL_REFUSE,
        .trees = w->trees,
        .launcher = w->launcher,
        .descriptors = &w->descriptors,
        .spools = w->spools,
        .identity = &w->identity,
        .limits = {.clients = config->max_clients,
                   .request_bytes = config->max_request_bytes,
                   .calls = config->max_calls,
                   .live_jobs = config->max_live_jobs,
                   .history_jobs = config->history_jobs,
                   .history_bytes = config->history_bytes,
                   .output_bytes = config->output_bytes},
        .info = {.version = SUPD_VERSION,
                 .socket = w->options->socket,
                 .pid = w->kept->head->keeper > 0 ? w->kept->head->keeper : getpid(),
                 .started_at = w->kept->head->started_wall,
                 .started_mono = w->kept->head->started_mono,
                 .uid = geteuid()},
        .stop = on_stop_call,
        .activity = on_activity,
        .data = w,
    };
    int r = control_start(&w->control);
    if (r < 0)
        return worker_fail(w, "control", r);
    struct kept_head *head = w->kept->head;
    if (head->listener > 0)
        return 0;
    // Who may come in is said by the directory, and then by the credentials of each peer: one who got so far is told why not.
    int fd = unixsock_listen(w->options->socket, 0666);
    if (fd == -EADDRINUSE) {
        log_error(&w->log, "%s: somebody else answers there: name another socket", w->options->socket);
        return fd;
    }
    if (fd < 0)
        return worker_fail(w, w->options->socket, fd);
    head->listener = fd;
    return 0;
}

// Jobs and clients of the worker before us; then those that come.
static int worker_go_on(struct worker *w) {
    if (w->resumed)
        recovery_run(&w->control);
    tree_host_settle(w->trees);
    spool_host_settle(w->spools);
    return listener_new(&w->control, w->kept->head->listener, &w->listener);
}

// All that stays open is open: the rest is for clients and jobs.
static int worker_open_budget(struct worker *w) {
    descriptors_init(&w->descriptors, launcher_descriptors(w->launcher) + DESCRIPTORS_MOMENT);
    int r = descriptors_take(&w->descriptors, DESCRIPTORS_LEAST, descriptors_for_clients());
    if (r < 0) {
        log_error(&w->log, "a limit of %lld open files is too low: give it %lld or more (RLIMIT_NOFILE)",
                  (long long)descriptors_limit(),
                  (long long)(w->descriptors.taken + DESCRIPTORS_LEAST + descriptors_for_clients()));
        return r;
    }
    descriptors_give(&w->descriptors, DESCRIPTORS_LEAST);
    return 0;
}

static void worker_watch(struct worker *w) {
    ev_signal_init(&w->term, on_stop_signal, SIGTERM);
    ev_signal_init(&w->interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&w->hangup, on_hangup, SIGHUP);
    ev_timer_init(&w->idle, on_idle, w->options->idle_exit, 0);
    ev_prepare_init(&w->end, on_end);
    ev_set_priority(&w->end, EV_MINPRI);
    w->term.data = w->interrupt.data = w->hangup.data = w->idle.data = w->end.data = w;
    ev_signal_start(w->loop, &w->term);
    ev_signal_start(w->loop, &w->interrupt);
    ev_signal_start(w->loop, &w->hangup);
    ev_prepare_start(w->loop, &w->end);
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

static void worker_close(struct worker *w) {
    if (w->kept->head->listener > 0)
        unlink(w->options->socket);
    listener_free(TAKE_PTR(w->listener));
    control_finish(&w->control);
    runner_free(w->runner);
    if (w->history)
        history_settle(w->history, w->kept->head->next_job, w->kept->head->last_event + 1);
    history_close(w->history);
    free(w->store_trouble);
    registry_free(w->registry);
    launcher_free(w->launcher);
    tree_host_free(w->trees);
    adopted_free(w->adopted);
    spool_host_free(w->spools);
    identity_done(&w->identity);
    instance_close(&w->instance);
    fd_close(w->reaper_fd);
    fd_close(w->keeper_fd);
    ev_loop_destroy(w->loop);
}

static void worker_ready(const struct worker *w) {
    w->kept->head->ready_start = w->kept->head->starts;
    if (w->kept->head->keeper > 0)
        kept_ask(w->kept->head, KEPT_ASK_READY);
    else
        notify_send("READY=1");
}

static void on_never(struct ev_loop *loop, struct ev_periodic *w, int events) {
}

// libev wakes once a minute to see whether somebody has set the clock, until it has a descriptor that tells it so. It opens
// that one (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) with the first watcher of the wall clock, and keeps it.
static struct ev_loop *loop_new(void) {
    // Not libev's default loop: that would reap every child it sees.
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct ev_periodic never;
    if (!loop)
        return NULL;
    ev_periodic_init(&never, on_never, 0, 0, NULL);
    ev_periodic_start(loop, &never);
    ev_periodic_stop(loop, &never);
    return loop;
}

// The descriptor table is still as the worker before us left it: what has a record stays, the rest goes, first of all
// that of its loop and its files.
static int worker_take_over(struct worker *w) {
    struct kept_head *head = w->kept->head;
    int r = kept_begin(w->kept);
    if (r < 0 || head->starts < 2)
        return r;
    runner_await_launches(w->kept);
    size_t max = (size_t)descriptors_limit() + KEPT_SLOTS + 16, count = 0;
    _cleanup_free_ int *fds = calloc(max, sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    const int own[] = {head->fd, head->news, head->listener, head->locks[0], head->locks[1]};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (own[i] > 0)
            fds[count++] = own[i];
    for (int i = 0; i < head->slot_count; i++)
        fds[count++] = head->slots[i];
    count += recovery_descriptors(w->kept, fds + count, max - count);
    descriptors_keep(fds, count);
    return 0;
}

int worker_run(const struct options *options, struct kept *kept) {
    struct worker w = {.options = options,
                       .kept = kept,
                       .resumed = kept->head->listener > 0,
                       .reaper_fd = -1,
                       .keeper_fd = -1,
                       .instance = {.runtime_lock = -1, .state_lock = -1}};
    log_init(&w.log, options->log_level);
    mallopt(M_MMAP_THRESHOLD, MALLOC_OWN);
    mallopt(M_TRIM_THRESHOLD, MALLOC_OWN);
    mallopt(M_ARENA_MAX, 1); // other threads allocate next to nothing
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a full disk is an error of write, not an end
    umask(077);
    if (kept->head->keeper > 0)
        prctl(PR_SET_NAME, "supd-worker", 0, 0, 0);
    if (kept->head->started_wall <= 0) {
        kept->head->started_wall = now_wall();
        kept->head->started_mono = now_mono();
    }
    int r = worker_take_over(&w);
    w.loop = r == 0 ? loop_new() : NULL;
    if (!w.loop) {
        log_error(&w.log, "no event loop");
        return WORKER_FAILED;
    }
    r = worker_open_os(&w);
    if (r == 0)
        r = worker_open_runner(&w);
    if (r == 0)
        r = worker_open_control(&w);
    if (r == 0)
        r = worker_open_budget(&w);
    if (r == 0)
        r = worker_go_on(&w);
    if (r == 0) {
        worker_watch(&w);
        log_info(&w.log, "supd %s, process %d: listening on %s; tree: %s", SUPD_VERSION, (int)getpid(), options->socket,
                 tree_host_why(w.trees));
        worker_ready(&w);
        ev_run(w.loop, 0);
        log_info(&w.log, "stopped");
    }
    worker_close(&w);
    return r < 0 ? WORKER_FAILED : WORKER_DONE;
}
