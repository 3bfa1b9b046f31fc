// adopting: jobs of the worker before us, from their records.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "common/util.h"
#include "daemon/os/sweep.h"
#include "daemon/runner/keeping.h"

enum { TRIES = 3, WAIT_STEP = 200 }; // microseconds
#define WAIT_MOST 0.2                // seconds for all launches that were under way to be on descriptors of their own
#define AWAIT_FIRST 0.001            // between looks for an exec
#define AWAIT_MOST 0.2

static bool is_under_way(const struct kept_job *record) {
    const struct child_report *report = &record->launch.report;
    return record->state.life.state == LIFE_STARTING && record->state.reason == REASON_NONE &&
           (report->leader > 0 || report->holder > 0);
}

// What a process was called with; of one that has not exec'ed it is what we were called with.
static bool has_execed(pid_t pid) {
    char path[64], ours[4096], theirs[4096];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    _cleanup_close_ int own = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int other = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = own < 0 ? -1 : read(own, ours, sizeof(ours));
    ssize_t m = other < 0 ? -1 : read(other, theirs, sizeof(theirs));
    return n != m || (n > 0 && memcmp(ours, theirs, (size_t)n) != 0);
}

// A child between its clone and its exec still uses the memory of the dead worker, and until it is isolated the slots that
// we share with it.
static bool is_settled(const struct child_report *report, bool needs_exec) {
    if (report->stage != STAGE_NONE)
        return true;
    if (report->leader <= 0 || !report->isolated || (report->holder > 0 && !report->holder_isolated))
        return false;
    return !needs_exec || has_execed(report->leader);
}

static bool await_isolated(const struct child_report *report, double until) {
    while (!is_settled(report, false)) {
        if (now_mono() > until)
            return false;
        usleep(WAIT_STEP);
    }
    return true;
}

static void end_child(pid_t pid, pid_t parent) {
    _cleanup_close_ int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd >= 0 && sweep_parent(pid) == parent)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

void runner_await_launches(struct kept *kept) {
    double until = now_mono() + WAIT_MOST;
    for (struct kept_job *record = NULL; (record = kept_next(kept, KEPT_JOB, record));) {
        struct child_report *report = &record->launch.report;
        if (!is_under_way(record) || await_isolated(report, until))
            continue;
        // Somebody has stopped it, or it hangs: it is not to go on with what it finds now.
        report->doomed = true;
        end_child(report->leader, report->holder > 0 ? report->holder : kept->head->keeper);
        end_child(report->holder, kept->head->keeper);
        report->error = ETIMEDOUT;
        report->stage = STAGE_RESOURCES;
    }
}

bool runner_was_accepted(const struct kept_job *record) {
    return record->state.created_at > 0;
}

uid_t runner_record_owner(const struct kept_job *record) {
    return record->state.owner;
}

void runner_claim(struct runner *runner) {
    struct kept *kept = runner->parts.kept;
    for (struct kept_job *record = NULL; (record = kept_next(kept, KEPT_JOB, record));) {
        kept_blob_claim(kept, &record->spec);
        kept_blob_claim(kept, &record->secrets);
        kept_blob_claim(kept, &record->survivors);
        kept_blob_claim(kept, &record->order);
    }
}

const char *runner_record_spec(const struct runner *runner, const struct kept_job *record, size_t *ret_size) {
    *ret_size = record->spec.size;
    return kept_blob_get(runner->parts.kept, &record->spec);
}

const char *runner_record_secrets(const struct runner *runner, const struct kept_job *record, struct start *start,
                                  size_t *ret_size) {
    for (int i = 0; i < 3; i++)
        start->fds[i] = record->fds[i] > 0 ? record->fds[i] : -1;
    *ret_size = record->secrets.size;
    return kept_blob_get(runner->parts.kept, &record->secrets);
}

int runner_record_order(const struct runner *runner, const struct kept_job *record, struct order *ret_order) {
    const char *runs = kept_blob_get(runner->parts.kept, &record->order);
    size_t there = runs ? record->order.size / sizeof(struct order_run) : 0;
    return order_load(ret_order, (const struct order_run *)(const void *)runs, MIN((size_t)record->order_count, there),
                      record->order_full);
}

static void fd_add(int *fds, size_t *count, int fd) {
    if (fd > 0)
        fds[(*count)++] = fd;
}

size_t runner_descriptors(const struct kept_job *record, int fds[RUNNER_FDS]) {
    size_t count = 0;
    const struct kept_state *state = &record->state;
    bool starting = state->life.state == LIFE_STARTING && record->launch.report.stage == STAGE_NONE;
    if (state->reason != REASON_NONE)
        return 0;
    if (starting && (record->launch.report.leader > 0 || record->launch.report.holder > 0)) {
        fd_add(fds, &count, record->launch.out_fd);
        fd_add(fds, &count, record->launch.err_fd);
        fd_add(fds, &count, record->launch.pidfd);
        fd_add(fds, &count, record->launch.control);
    } else if (starting) {
        for (int i = 0; i < 3; i++)
            fd_add(fds, &count, record->fds[i]);
        return count;
    }
    if (!starting) {
        fd_add(fds, &count, record->pipes[0]);
        fd_add(fds, &count, record->pipes[1]);
        fd_add(fds, &count, state->tree.ended ? 0 : state->tree.pidfd);
        fd_add(fds, &count, state->tree.control);
    }
    fd_add(fds, &count, record->in_fd);
    return count;
}

// The read that was under way when the worker died: its mark is gone where it took place.
static void read_settle(struct kept_head *head, struct kept_job *record) {
    struct kept_read *read = &head->read;
    if (!read->armed || read->job != record->id || read->stream < 0 || read->stream >= STREAM_COUNT)
        return;
    struct spool *spool = &record->spools[read->stream];
    spool->total = read->total;
    spool->stored = read->stored;
    char *place = read->in_scratch ? head->scratch : spool_place(spool);
    bool took = place && read->is_marked && memcmp(place, read->mark, read->mark_size) != 0;
    if (took && read->in_scratch && read->stored == 0 && spool->file > 0 && !spool->shared)
        spool_forget_file(spool); // made for these very bytes, perhaps without them
    if (took)
        spool_commit(spool, read->size);
    else if (place)
        memcpy(place, read->before, read->mark_size);
    read->armed = 0;
}

static void survivors_restore(struct run *run, struct outcome *outcome) {
    const struct kept_blob *blob = &run->kept->survivors;
    const char *pids = kept_blob_get(run->runner->parts.kept, blob);
    outcome->survivors = pids ? malloc(blob->size) : NULL;
    if (!outcome->survivors)
        return;
    memcpy(outcome->survivors, pids, blob->size);
    outcome->survivor_count = blob->size / sizeof(pid_t);
}

static struct job *job_restore(struct runner *runner, struct kept_job *record, struct spec *spec, struct owner *owner) {
    const struct kept_state *state = &record->state;
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->id = record->id;
    job->owner = state->owner;
    job->account = owner;
    job->pid = state->pid;
    job->attempt = state->attempt;
    job->created_at = state->created_at;
    job->started_at = state->started_at;
    job->ended_at = state->ended_at;
    job->started_mono = state->started_mono;
    job->ended_mono = state->ended_mono;
    job->life = state->life;
    job->spec = *spec;
    job->spec.rows = state->rows;
    job->spec.cols = state->cols;
    job->outcome = (struct outcome){.reason = state->reason,
                                    .stage = state->stage,
                                    .error = state->error,
                                    .cause = state->cause,
                                    .survivors_unknown = state->survivors_unknown,
                                    .incomplete = state->incomplete,
                                    .end = record->launch.end};
    job->run = run_new(runner, job);
    if (!job->run || registry_add(runner->parts.registry, job) < 0) {
        free(job->run);
        free(job);
        return NULL;
    }
    owner_hold(owner);
    *spec = (struct spec){0};
    return job;
}

static void run_restore(struct run *run, struct kept_job *record) {
    struct runner *runner = run->runner;
    run->is_put = true; // it may have been
    run->kept = record;
    run->stopping_told = record->state.stopping_told;
    run->in_over = record->state.in_over;
    run->in_line = record->state.in_line;
    for (int s = 0; s < STREAM_COUNT; s++) {
        struct spool *spool = run->pipes[s].spool = &record->spools[s];
        spool->share = &run->job->account->output;
        spool_resume(spool, runner->parts.spools);
    }
    read_settle(runner->parts.kept->head, record);
    survivors_restore(run, &run->job->outcome);
    runner_record_order(runner, record, &run->order);
    run_order_account(run);
}

static void fail(struct run *run, enum launch_stage stage, int error) {
    struct job *job = run->job;
    run_keep_launched(run);
    job->outcome.stage = stage;
    job->outcome.error = error;
    run_act(run, lifecycle_failed(&job->life, now_mono()));
}

static int run_adopt_tree(struct run *run, const struct tree_kept *tree) {
    struct kept_job *record = run->kept;
    struct tree_kept whole = *tree;
    whole.is_foreign = record->launch.keeper != run->runner->parts.kept->head->keeper;
    return tree_adopt(run->runner->parts.trees, tree_rest_of(&run->job->spec), &whole, &record->launch.end,
                      record->launch.since, &run_tree_listener, run, &run->tree);
}

static void run_take_up(struct run *run, int out_fd, int err_fd) {
    int in_fd = run->kept->in_fd;
    if (in_fd > 0)
        run_input_resume(run, in_fd);
    run->descriptors = (out_fd > 0) + (err_fd > 0) + (in_fd > 0);
    bool were_over = run->job->life.streams_over;
    run_watch(run, out_fd > 0 ? out_fd : -1, err_fd > 0 ? err_fd : -1);
    run->job->life.streams_over = were_over;
    run_streams_settle(run);
}

// A launch that was under way has come to its exec, or has failed.
static void launch_take_up(struct run *run) {
    struct kept_job *record = run->kept;
    struct launch_record *launch = &record->launch;
    struct job *job = run->job;
    if (launch->report.stage != STAGE_NONE) {
        fail(run, launch->report.stage, launch->report.error);
        return;
    }
    run_keep_launched(run);
    job->pid = launch->report.leader;
    job->attempt = 1;
    job->started_at = launch->started_wall;
    job->started_mono = launch->started_mono;
    unsigned actions = lifecycle_started(&job->life, now_mono());
    run_take_up(run, launch->out_fd, launch->err_fd);
    if (job->spec.pty && launch->out_fd > 0) {
        const struct launch terminal = {.out_fd = launch->out_fd,
                                        .plan = {.rows = job->spec.rows, .cols = job->spec.cols}};
        run_input_join(run, &terminal);
    }
    run_act(run, actions);
    run->runner->listener->started(job, run->runner->data);
    run_input_begin(run);
}

// Nobody tells of its exec: whoever would have been told is dead. It is looked for, ever more rarely.
struct awaited {
    struct run *run;
    struct ev_timer timer;
    double step;
};

static void on_awaited(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct awaited *awaited = timer->data;
    struct run *run = awaited->run;
    if (is_settled(&run->kept->launch.report, true)) {
        run_awaited_over(run);
        return;
    }
    awaited->step = MIN(awaited->step * 2, AWAIT_MOST);
    ev_timer_set(timer, awaited->step, 0);
    ev_timer_start(loop, timer);
}

// Before its exec nobody else would reach it: what is to be its reaper waits for that.
void run_awaited_kill(struct run *run) {
    struct child_report *report = &run->kept->launch.report;
    report->doomed = true;
    end_child(report->leader, report->holder > 0 ? report->holder : run->runner->parts.kept->head->keeper);
}

void run_awaited_over(struct run *run) {
    struct awaited *awaited = TAKE_PTR(run->awaited);
    if (!awaited)
        return;
    ev_timer_stop(run->runner->parts.loop, &awaited->timer);
    free(awaited);
    launch_take_up(run);
}

static void launch_await(struct run *run) {
    const struct launch_record *launch = &run->kept->launch;
    const struct tree_kept tree = {
        .number = run->kept->state.tree.number,
        .spoiled = run->kept->state.tree.spoiled,
        .before = run->kept->state.tree.before,
        .leader = launch->report.leader,
        .holder = launch->report.holder,
        .pidfd = launch->pidfd,
        .control = launch->control,
    };
    lifecycle_begun(&run->job->life, launch->started_mono);
    int r = launch->report.stage == STAGE_NONE ? run_adopt_tree(run, &tree) : 0; // first: its end may come at any time
    struct awaited *awaited = r < 0 || is_settled(&launch->report, true) ? NULL : calloc(1, sizeof(*awaited));
    if (!awaited) {
        launch_take_up(run);
        return;
    }
    awaited->run = run;
    awaited->step = AWAIT_FIRST;
    ev_timer_init(&awaited->timer, on_awaited, awaited->step, 0);
    awaited->timer.data = awaited;
    ev_timer_start(run->runner->parts.loop, &awaited->timer);
    run->awaited = awaited;
    run_act(run, 0);
}

static void run_resume(struct run *run, struct start *start) {
    struct kept_job *record = run->kept;
    struct job *job = run->job;
    if (job->outcome.reason != REASON_NONE) {
        run_finish_again(run);
        return;
    }
    run->runner->stats.live++;
    run_account(run, record->spec.size + record->secrets.size, run_descriptors(&job->spec));
    if (job->life.state == LIFE_FINAL) {
        run_finish_later(run);
    } else if (job->life.state != LIFE_STARTING) {
        if (run_adopt_tree(run, &record->state.tree) == 0)
            run_take_up(run, record->pipes[0], record->pipes[1]);
        run_act(run, 0);
    } else if (record->launch.report.leader > 0 || record->launch.report.holder > 0) {
        launch_await(run);
    } else if (start->secrets_text) {
        record->in_fd = 0;
        record->launch = (struct launch_record){.since = run->runner->parts.kept->head->journal_end,
                                                .keeper = run->runner->parts.kept->head->keeper};
        run->descriptors = run_descriptors(&job->spec);
        descriptors_take(run->runner->parts.descriptors, run->descriptors, 0);
        if (run_launch(run, start) < 0)
            fail(run, STAGE_RESOURCES, ENOMEM);
        run_act(run, 0);
    } else {
        job->outcome.survivors_unknown = false;
        run_finish_later(run); // never begun, and nobody knows any more how: lost
        job->life.state = LIFE_FINAL;
    }
}

int runner_adopt(struct runner *runner, struct kept_job *record, struct spec *spec, struct start *start,
                 struct job **ret_job) {
    record->tries++;
    struct job *job = job_restore(runner, record, spec, start->owner);
    if (!job)
        return -ENOMEM;
    run_restore(job->run, record);
    if (record->tries > TRIES) { // it has taken workers along: it is better lost
        job->outcome.survivors_unknown = true;
        runner->stats.live++;
        run_account(job->run, 0, 0);
        job->life.state = LIFE_FINAL;
        run_finish_later(job->run);
    } else {
        run_resume(job->run, start);
    }
    *ret_job = job;
    return 0;
}

void runner_adopted(struct runner *runner) {
    struct kept *kept = runner->parts.kept;
    for (struct kept_job *record = NULL; (record = kept_next(kept, KEPT_JOB, record));)
        record->tries = 0;
    kept->head->read.armed = 0;
}
