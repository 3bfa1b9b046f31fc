// The runner's own doors: starting, stopping, signalling; and carrying out actions.
#include "daemon/runner/runner.h"

#include <math.h>

#include "common/util.h"
#include "daemon/runner/keeping.h"

enum { HOLD_WINDOW = 65536 }; // of a lossless follower of a stream without a budget

static void on_again(struct ev_loop *loop, struct ev_idle *w, int events) {
    // The turn that this makes is all there is to it.
}

static void on_bottom(struct ev_loop *loop, struct ev_prepare *w, int events) {
    run_finish_all(w->data);
}

int runner_new(const struct runner_parts *parts, const struct runner_listener *listener, void *data,
               struct runner **ret_runner) {
    struct runner *runner = calloc(1, sizeof(*runner));
    if (!runner)
        return -ENOMEM;
    *runner = (struct runner){
        .parts = *parts,
        .listener = listener,
        .data = data,
        .cpus = (int)sysconf(_SC_NPROCESSORS_ONLN),
    };
    ev_prepare_init(&runner->bottom, on_bottom);
    runner->bottom.data = runner;
    ev_idle_init(&runner->again, on_again);
    ev_set_priority(&runner->bottom, EV_MAXPRI); // results first, then those who tell them
    ev_prepare_start(parts->loop, &runner->bottom);
    ev_unref(parts->loop);
    *ret_runner = runner;
    return 0;
}

void runner_set_limits(struct runner *runner, int64_t live_max, int64_t history_max, int64_t history_bytes_max) {
    runner->parts.live_max = live_max;
    runner->parts.history_max = history_max;
    runner->parts.history_bytes_max = history_bytes_max;
    run_history_trim(runner);
}

void runner_free(struct runner *runner) {
    if (!runner)
        return;
    runner->parts.history = NULL; // it keeps what memory forgets
    struct job *job;
    while ((job = registry_oldest_final(runner->parts.registry)))
        runner_forget(runner, job);
    ev_ref(runner->parts.loop);
    ev_prepare_stop(runner->parts.loop, &runner->bottom);
    ev_idle_stop(runner->parts.loop, &runner->again);
    ev_timer_stop(runner->parts.loop, &runner->archive);
    free(runner);
}

static void on_time(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct run *run = timer->data;
    struct lifecycle *life = &run->job->life;
    if (run->launch) {
        double begun;
        __atomic_load(&run->launch->started_mono, &begun, __ATOMIC_ACQUIRE);
        if (begun > 0)
            lifecycle_begun(life, begun);
    }
    run_act(run, lifecycle_time(life, now_mono()));
}

static void run_rearm(struct run *run) {
    struct ev_loop *loop = run->runner->parts.loop;
    double now = now_mono(), next = lifecycle_next(&run->job->life, now);
    ev_timer_stop(loop, &run->timer);
    if (run->is_finishing || next == INFINITY)
        return;
    // The loop's clock stands still during a turn: without it a short wait would end too early.
    ev_now_update(loop);
    ev_timer_set(&run->timer, MAX(next - now, 0), 0);
    ev_timer_start(loop, &run->timer);
}

static unsigned run_check_cpu(struct run *run) {
    double used, began = now_mono();
    if (!run->tree || tree_cpu(run->tree, &used) < 0)
        return 0;
    double now = now_mono();
    return lifecycle_cpu(&run->job->life, now, used, now - began);
}

static unsigned run_cancel(struct run *run) {
    struct launch *launch = run->launch;
    if (!launch || !run->tree || !launcher_cancel(run->runner->parts.launcher, launch))
        return 0;
    run->launch = NULL;
    unsigned actions = lifecycle_failed(&run->job->life, now_mono());
    run_keep(run); // first: what came along is named there
    run_keep_launched(run);
    launch_done(launch);
    free(launch);
    spec_forget_secrets(&run->job->spec);
    return actions;
}

// Once, when a stop begins; one that the launch forestalled says so by its result alone.
static void run_tell_stopping(struct run *run) {
    const struct lifecycle *life = &run->job->life;
    if (!life->stopping || run->stopping_told || life->state != LIFE_RUNNING)
        return;
    run->stopping_told = true;
    run->runner->listener->stopping(run->job, run->runner->data);
}

void run_act(struct run *run, unsigned actions) {
    struct runner *runner = run->runner;
    if (actions & LIFE_CANCEL)
        actions |= run_cancel(run);
    if (actions & LIFE_CHECK_CPU)
        actions |= run_check_cpu(run);
    if ((actions & LIFE_SIGNAL) && run->tree) {
        tree_signal(run->tree, run->job->life.signal);
        tree_signal(run->tree, SIGCONT);
    }
    if ((actions & LIFE_KILL) && run->awaited)
        run_awaited_kill(run);
    if ((actions & LIFE_KILL) && run->launch)
        launcher_kill(runner->parts.launcher, run->launch);
    else if ((actions & LIFE_KILL) && run->tree)
        tree_kill(run->tree);
    if (actions & LIFE_CLOSE)
        for (int s = 0; s < STREAM_COUNT; s++) {
            run->job->outcome.incomplete |= run->pipes[s].fd >= 0;
            run_pipe_close(&run->pipes[s]);
        }
    if (actions & LIFE_FINISH)
        run_finish_later(run);
    run_tell_stopping(run);
    run_keep(run);
    run_rearm(run);
}

// One for what tells of the tree, one for each captured stream, those for what stdin reads from, and what came along.
int64_t run_descriptors(const struct spec *spec) {
    int stdin_ends = spec->pty ? 1 : spec->stdin_from == STDIN_STREAM ? 2 : spec->stdin_from == STDIN_DATA;
    return 1 + spec_captures(spec, STREAM_OUT) + spec_captures(spec, STREAM_ERR) + stdin_ends + spec_descriptors(spec);
}

struct run *run_new(struct runner *runner, struct job *job) {
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->runner = runner;
    run->job = job;
    run->in_fd = run->read_master = -1;
    run->in_over = !spec_takes_input(&job->spec);
    for (int s = 0; s < STREAM_COUNT; s++) {
        struct run_pipe *pipe = &run->pipes[s];
        *pipe = (struct run_pipe){.run = run, .stream = s, .fd = -1, .hold = INT64_MAX};
    }
    ev_init(&run->timer, on_time);
    run->timer.data = run;
    return run;
}

static int job_new(struct runner *runner, struct spec *spec, const struct start *start, struct job **ret_job) {
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->owner = start->owner->uid;
    job->account = start->owner;
    job->created_at = now_wall();
    job->spec = *spec;
    job->outcome.reason = REASON_NONE;
    lifecycle_init(&job->life, spec, runner->cpus);
    job->run = run_new(runner, job);
    int r = job->run ? registry_add(runner->parts.registry, job) : -ENOMEM;
    if (r == 0)
        runner->parts.kept->head->next_job = job->id + 1;
    if (r == 0 && (r = run_keep_begin(job->run, start)) < 0)
        registry_remove(runner->parts.registry, job);
    if (r < 0) {
        run_free(job->run);
        free(job);
        return r;
    }
    owner_hold(start->owner);
    *ret_job = job;
    return 0;
}

// Whether the daemon, and the owner's share of it, has room for one more. Takes nothing.
static const char *limit_reached(const struct runner *runner, const struct start *start, int64_t descriptors) {
    const struct owner *owner = start->owner;
    const struct owner_limits *shares = owners_limits(runner->parts.owners);
    int64_t queued = (int64_t)launcher_queued_for(runner->parts.launcher, owner->claimant);
    if (runner->stats.live >= runner->parts.live_max)
        return "live_jobs";
    if (!owner_may(owner, owner->live_jobs, 1, shares->live_jobs))
        return "owner_live_jobs";
    if (!owner_may(owner, queued, 1, shares->queued_jobs))
        return "owner_queued_jobs";
    if (!owner_may(owner, owner->queued_bytes, (int64_t)(start->spec_size + start->secrets_size), shares->queued_bytes))
        return "owner_queued_bytes";
    return owner_may(owner, owner->descriptors, descriptors, shares->descriptors) ? NULL : "owner_descriptors";
}

void run_account(struct run *run, int64_t bytes, int64_t descriptors) {
    struct owner *owner = run->job->account;
    run->account_bytes = bytes;
    run->account_descriptors = descriptors;
    owner->queued_bytes += bytes;
    owner->descriptors += descriptors;
    owner->live_jobs++;
}

void run_account_end(struct run *run) {
    struct owner *owner = run->job->account;
    owner->queued_bytes -= run->account_bytes;
    run->account_bytes = 0;
    owner->descriptors -= run->account_descriptors;
    owner->live_jobs--;
}

int runner_start(struct runner *runner, struct spec *spec, struct start *start, struct job **ret_job) {
    int64_t descriptors = run_descriptors(spec);
    start->limit = limit_reached(runner, start, descriptors);
    if (start->limit)
        return -EUSERS;
    int r = descriptors_take(runner->parts.descriptors, descriptors, descriptors_for_clients());
    if (r < 0)
        start->limit = "descriptors";
    if (r < 0)
        return r;
    struct job *job;
    r = job_new(runner, spec, start, &job);
    if (r == -EUSERS)
        start->limit = "records";
    if (r < 0) {
        descriptors_give(runner->parts.descriptors, descriptors);
        return r;
    }
    run_of(job)->descriptors = descriptors;
    run_account(run_of(job), (int64_t)(start->spec_size + start->secrets_size), descriptors);
    start->owner->accepted++;
    *spec = (struct spec){0};
    runner->stats.live++;
    runner->stats.accepted++;
    if (start->by_descriptor)
        runner_share(job); // where that can't be, it is followed by chunks
    r = run_launch(run_of(job), start);
    if (r < 0) {
        job->outcome.stage = STAGE_RESOURCES;
        job->outcome.error = -r;
        run_act(run_of(job), lifecycle_failed(&job->life, now_mono()));
    } else {
        run_act(run_of(job), 0);
    }
    *ret_job = job;
    return 0;
}

void runner_stop(struct runner *runner, struct job *job, struct cause cause, int signal, double grace) {
    struct lifecycle *life = &job->life;
    run_act(run_of(job), lifecycle_stop(life, now_mono(), cause, signal < 0 ? life->stop_signal : signal,
                                        grace < 0 ? life->grace : grace));
}

void runner_update(struct job *job, double timeout, double idle_timeout) {
    run_act(run_of(job), lifecycle_update(&job->life, now_mono(), timeout, idle_timeout));
}

int runner_signal(struct runner *runner, struct job *job, int signal, bool leader_only) {
    struct run *run = run_of(job);
    if (job_is_final(job) || !run->tree || run->launch)
        return -ESRCH;
    return leader_only ? tree_signal_leader(run->tree, signal) : tree_signal(run->tree, signal);
}

void runner_widen(struct job *job) {
    for (int s = 0; s < STREAM_COUNT; s++)
        spool_widen(run_of(job)->pipes[s].spool, HOLD_WINDOW);
}

void runner_keep(struct job *job) {
    for (int s = 0; s < STREAM_COUNT; s++)
        spool_stop(run_of(job)->pipes[s].spool);
}

int runner_share(struct job *job) {
    int r = 0;
    runner_widen(job);
    for (int s = 0; s < STREAM_COUNT && r == 0; s++)
        if (spec_captures(&job->spec, s))
            r = spool_share(run_of(job)->pipes[s].spool);
    return r;
}

int runner_export(const struct job *job, int stream, int64_t extents[2][2], int *ret_count) {
    const struct run *run = run_of(job);
    return spool_export(run->pipes[stream].spool, run->runner->parts.spools,
                        job->account ? &job->account->output : NULL, extents, ret_count);
}

struct spool *runner_spool(const struct job *job, int stream) {
    return run_of(job)->pipes[stream].spool;
}

const struct order *runner_order(const struct job *job) {
    return &run_of(job)->order;
}

bool runner_stream_eof(const struct job *job, int stream) {
    const struct run_pipe *pipe = &run_of(job)->pipes[stream];
    return pipe->fd < 0 && (job->life.state != LIFE_STARTING || !spec_captures(&job->spec, stream));
}

const struct runner_stats *runner_stats(const struct runner *runner) {
    return &runner->stats;
}
