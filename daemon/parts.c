// Opening and closing the parts of the worker.
#include "daemon/parts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/unixsock.h"
#include "common/util.h"
#include "daemon/control/admission.h"
#include "daemon/control/archive.h"
#include "daemon/control/listener.h"
#include "daemon/control/recovery.h"
#include "daemon/os/closer.h"
#include "daemon/os/leader.h"
#include "daemon/renewal.h"
#include "daemon/version.h"

enum {
    MEMORY_JOBS = 10000, // final ones, that no history has
    MEMORY_BYTES = 256 << 20,
    DESCRIPTORS_MOMENT = 9, // open for a moment: files being read, a log that grows, a client being refused
    DESCRIPTORS_LEAST = 5,  // a client with a job
};

// The program that holds a tree where there is no cgroup: beside supd, in its build tree, or installed.
static int reaper_open(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[MAX(n, 0)] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (int i = 0; i < 3; i++) { // as it is built, beside it, as it is installed
        char path[PATH_MAX + 32];
        snprintf(path, sizeof(path), "%s%s/supd-reaper", i < 2 ? self : SUPD_LIBEXECDIR "/supd", i == 0 ? "/os" : "");
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
    const struct config *config = &w->settings;
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

// Root's daemon for the machine: anybody's jobs, each as whom they are.
static bool parts_is_shared(const struct worker *w) {
    return w->options->system && geteuid() == 0;
}

void parts_shares(const struct worker *w, struct owner_limits *ret_limits) {
    const struct config *c = &w->settings;
    *ret_limits = (struct owner_limits){.clients = c->owner_clients,
                                        .calls = c->owner_calls,
                                        .live_jobs = c->owner_live_jobs,
                                        .queued_jobs = c->owner_queued_jobs,
                                        .queued_bytes = c->owner_queued_bytes,
                                        .output_bytes = c->owner_output_bytes,
                                        .descriptors = MIN(c->owner_descriptors, descriptors_limit() / 2)};
}

static int worker_open_users(struct worker *w) {
    struct owner_limits shares;
    parts_shares(w, &shares);
    w->owners = owners_new(geteuid(), &shares);
    int r = w->owners ? identity_open_home(NULL, geteuid(), &w->identity) : -ENOMEM;
    if (r == 0)
        r = identities_new(w->loop, &(struct identities_listener){admission_looked_up, &w->control, identity_open_home},
                           &w->identities);
    if (r == 0)
        identities_put(w->identities, w->identity);
    return r;
}

static int worker_open_os(struct worker *w) {
    const struct config *config = &w->settings;
    char why[400] = "";
    struct kept_head *head = w->kept->head;
    int r = launcher_new(w->loop, config->spawn, (int)config->launchers, parts_is_shared(w), head, &w->launcher);
    if (r < 0)
        return worker_fail(w, "launchers", r);
    const struct instance_parts instance = {.log = &w->log,
                                            .socket = w->options->socket,
                                            .runtime_dir = w->options->runtime_dir,
                                            .state_dir = w->options->state_dir,
                                            .locks = head->locks,
                                            .is_shared = parts_is_shared(w),
                                            .pid = head->keeper > 0 ? head->keeper : getpid()};
    r = instance_open(&w->instance, &instance, why);
    if (r < 0) {
        log_error(&w->log, "%s", why);
        return r;
    }
    r = worker_open_users(w);
    if (r < 0)
        return worker_fail(w, "users", r);
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
    const struct config *config = &w->settings;
    struct kept_head *head = w->kept->head;
    int64_t next_job = w->resumed ? head->next_job : 1, next_event = w->resumed ? head->last_event + 1 : 1;
    const struct history_parts parts = {.loop = w->loop,
                                        .directory = w->options->state_dir,
                                        .limits = parts_retention(w),
                                        .is_live = is_kept,
                                        .live_data = w,
                                        .resumed = w->resumed,
                                        .listener = &archive_listener,
                                        .data = &w->control};
    char *note = NULL;
    if (config->store == STORE_NONE)
        return;
    if (w->instance.trouble[0]) {
        log_error(&w->log, "no history: %s: jobs run on, and are forgotten with the daemon", w->instance.trouble);
        w->store_trouble = strdup(w->instance.trouble);
        return;
    }
    int r = history_open(&parts, &w->history, &next_job, &next_event, &note);
    if (r < 0)
        log_error(&w->log, "no history: %s: jobs run on, and are forgotten with the daemon",
                  note ? note : strerror(-r));
    else if (note)
        log_error(&w->log, "%s", note);
    if (r < 0)
        w->store_trouble = TAKE_PTR(note);
    free(note);
    if (w->resumed)
        return; // what is kept knows better
    head->next_job = MAX(head->next_job, next_job);
    if (next_event - 1 > head->last_event) {
        head->last_event = next_event - 1;
        head->first_event = next_event;
    }
}

// Where there is a history, that is what decides which jobs are forgotten; here is only how many may wait for it.
int64_t parts_memory_jobs(const struct worker *w) {
    return w->history ? MEMORY_JOBS : MIN(w->settings.history_jobs, (int64_t)MEMORY_JOBS);
}

int64_t parts_memory_bytes(const struct worker *w) {
    return w->history ? MEMORY_BYTES : MIN(w->settings.history_bytes, (int64_t)MEMORY_BYTES);
}

static int worker_open_runner(struct worker *w) {
    const struct config *config = &w->settings;
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
        .sets_identity = parts_is_shared(w),
        .owners = w->owners,
        .live_max = config->max_live_jobs,
        .history = w->history,
        .history_max = parts_memory_jobs(w),
        .history_bytes_max = parts_memory_bytes(w),
    };
    int r = runner_new(&parts, &control_runner_listener, &w->control, &w->runner);
    return r < 0 ? worker_fail(w, "runner", r) : 0;
}

struct history_limits parts_retention(const struct worker *w) {
    const struct config *c = &w->settings;
    return (struct history_limits){.jobs = c->history_jobs,
                                   .bytes = c->history_bytes,
                                   .owner_jobs = c->owner_history_jobs,
                                   .owner_bytes = c->owner_history_bytes,
                                   .exempt = geteuid()};
}

struct control_limits parts_limits(const struct worker *w) {
    const struct config *c = &w->settings;
    return (struct control_limits){.clients = c->max_clients,
                                   .request_bytes = c->max_request_bytes,
                                   .calls = c->max_calls,
                                   .live_jobs = c->max_live_jobs,
                                   .history_jobs = c->history_jobs,
                                   .history_bytes = c->history_bytes,
                                   .output_bytes = c->output_bytes,
                                   .owner_history_jobs = c->owner_history_jobs,
                                   .owner_history_bytes = c->owner_history_bytes};
}

static int worker_open_control(struct worker *w) {
    const struct config *config = &w->settings;
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
        .identity = w->identity,
        .is_shared = parts_is_shared(w),
        .identities = w->identities,
        .access = &w->settings.access,
        .owners = w->owners,
        .limits = parts_limits(w),
        .info = {.version = SUPD_VERSION,
                 .socket = w->options->socket,
                 .pid = w->kept->head->keeper > 0 ? w->kept->head->keeper : getpid(),
                 .started_at = w->kept->head->started_wall,
                 .started_mono = w->kept->head->started_mono,
                 .uid = geteuid()},
        .stop = w->control.stop,
        .activity = w->control.activity,
        .reload = renewal_reload,
        .reexec = renewal_reexec,
        .data = w,
    };
    int r = control_start(&w->control);
    if (r < 0)
        return worker_fail(w, "control", r);
    struct kept_head *head = w->kept->head;
    if (head->listener <= 0 && head->foreign_listener > 0) {
        head->is_foreign = true;
        head->listener = head->foreign_listener;
    }
    // The service manager sets what it hands out to block, which is the same open socket.
    if (head->listener > 0)
        return fcntl(head->listener, F_SETFL, O_NONBLOCK) < 0 ? worker_fail(w, "the socket", -errno) : 0;
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
int parts_go_on(struct worker *w) {
    if (w->resumed)
        recovery_run(&w->control);
    tree_host_settle(w->trees);
    spool_host_settle(w->spools, w->owners);
    return listener_new(&w->control, w->kept->head->listener, &w->listener);
}

// All that stays open is open: the rest is for clients and jobs.
static int worker_open_budget(struct worker *w) {
    descriptors_init(&w->descriptors,
                     launcher_descriptors(w->launcher) + tree_host_descriptors(w->trees) + DESCRIPTORS_MOMENT);
    if (w->resumed)
        return 0; // what is taken is jobs' and clients' that are gone on with
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

static void on_never(struct ev_loop *loop, struct ev_periodic *w, int events) {
}

// libev wakes once a minute to see whether somebody has set the clock, until it has a descriptor that tells it so. It opens
// that one (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) with the first watcher of the wall clock, and keeps it.
struct ev_loop *parts_loop(void) {
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

ssize_t parts_descriptors(struct kept *kept, int **ret_fds) {
    struct kept_head *head = kept->head;
    size_t max = (size_t)head->used[KEPT_JOB] * RUNNER_FDS + head->used[KEPT_SESSION] + KEPT_SLOTS + 16, count = 0;
    int *fds = calloc(max, sizeof(*fds));
    if (!fds)
        return -ENOMEM;
    const int own[] = {head->fd,       head->news,     head->listener,
                       head->locks[0], head->locks[1], head->listener > 0 ? 0 : head->foreign_listener};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (own[i] > 0)
            fds[count++] = own[i];
    for (int i = 0; i < head->slot_count; i++)
        fds[count++] = head->slots[i];
    count += recovery_descriptors(kept, fds + count, max - count);
    *ret_fds = fds;
    return (ssize_t)count;
}

// The descriptor table is still as the worker before us left it: what has a record stays, the rest goes, first of all
// that of its loop and its files.
int parts_take_over(struct kept *kept) {
    int r = kept_begin(kept);
    if (r < 0 || kept->head->starts < 2)
        return r;
    runner_await_launches(kept);
    runner_drop_closed(kept);
    _cleanup_free_ int *fds = NULL;
    ssize_t count = parts_descriptors(kept, &fds);
    if (count < 0)
        return (int)count;
    descriptors_keep(fds, (size_t)count);
    return 0;
}

void parts_close(struct worker *w) {
    if (w->kept->head->listener > 0 && !w->kept->head->is_foreign)
        unlink(w->options->socket);
    listener_free(TAKE_PTR(w->listener));
    control_finish(&w->control);
    if (w->history)
        history_settle(w->history, w->kept->head->next_job, w->kept->head->last_event + 1);
    history_close(w->history); // first: output that it has not taken yet goes with the runner
    runner_free(w->runner);
    free(w->store_trouble);
    registry_free(w->registry);
    launcher_free(w->launcher);
    closer_free(w->closer);
    tree_host_free(w->trees);
    adopted_free(w->adopted);
    spool_host_free(w->spools);
    identities_free(w->identities);
    owners_free(w->owners, claimant_release);
    identity_unref(w->identity);
    instance_close(&w->instance);
    fd_close(w->reaper_fd);
    fd_close(w->keeper_fd);
    ev_loop_destroy(w->loop);
    kept_end(w->kept);
}

int parts_open(struct worker *w) {
    int r = worker_open_os(w);
    if (r == 0)
        r = worker_open_runner(w);
    if (r == 0)
        r = worker_open_control(w);
    return r == 0 ? worker_open_budget(w) : r;
}
