// ending: results, and how long they are kept.
#include <math.h>

#include "common/util.h"
#include "daemon/runner/archiving.h"
#include "daemon/runner/keeping.h"

enum { SURVIVORS_MAX = 1024 };

void run_finish_later(struct run *run) {
    if (run->is_finishing)
        return;
    run->is_finishing = true;
    run->next_finishing = run->runner->finishing;
    run->runner->finishing = run;
    ev_idle_start(run->runner->parts.loop, &run->runner->again);
}

static void survivors_collect(struct run *run) {
    struct outcome *outcome = &run->job->outcome;
    pid_t pids[SURVIVORS_MAX];
    int count = tree_pids(run->tree, pids, SURVIVORS_MAX);
    outcome->survivors_unknown = count < 0;
    if (count <= 0)
        return;
    count = MIN(count, SURVIVORS_MAX);
    outcome->survivors = malloc((size_t)count * sizeof(pid_t));
    if (!outcome->survivors) {
        outcome->survivors_unknown = true;
        return;
    }
    memcpy(outcome->survivors, pids, (size_t)count * sizeof(pid_t));
    outcome->survivor_count = (size_t)count;
    // What the next worker tells is the same.
    if (kept_blob_put(run->runner->parts.kept, &run->kept->survivors, pids, (size_t)count * sizeof(pid_t)) < 0)
        outcome->survivors_unknown = true;
}

static void on_retained(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct run *run = timer->data;
    runner_forget(run->runner, run->job);
}

// As JSON, and as strings.
static int64_t given_bytes(const struct run *run) {
    size_t text = run->kept ? run->kept->spec.size : run->archived_spec ? strlen(run->archived_spec) : 0;
    return (int64_t)(text + spec_bytes(&run->job->spec));
}

void run_final_count(struct run *run) {
    struct owner *owner = run->job->account;
    bool counts = job_is_final(run->job) && !run->job->forgotten;
    if (!counts && !run->is_counted)
        return;
    run->spec_bytes = given_bytes(run);
    int64_t bytes = counts ? run->spec_bytes : 0;
    for (int s = 0; s < STREAM_COUNT && counts; s++)
        bytes += spool_taken(run->pipes[s].spool);
    run->runner->history_bytes += bytes - run->final_bytes;
    owner->final_bytes += bytes - run->final_bytes;
    owner->final_jobs += counts - run->is_counted;
    run->final_bytes = bytes;
    run->is_counted = counts;
}

static void run_retain(struct run *run) {
    struct runner *runner = run->runner;
    struct job *job = run->job;
    for (int s = 0; s < STREAM_COUNT; s++)
        run_pipe_seal(&run->pipes[s]);
    run_final_count(run);
    registry_finalize(runner->parts.registry, job);
    ev_timer_init(&run->timer, on_retained, MAX(job->spec.retain - (now_wall() - job->ended_at), 0.0), 0);
    ev_timer_start(runner->parts.loop, &run->timer);
}

static void run_publish(struct run *run) {
    struct runner *runner = run->runner;
    struct job *job = run->job;
    run_retain(run);
    job->references++;
    if (!run->kept->is_told)
        runner->listener->final(job, runner->data);
    run->kept->is_told = true;
    if (runner->parts.history && job->spec.retain > 0)
        run_archive(run);
    else if (job->spec.retain > 0)
        run_remember(run);
    else
        run_keep_end(run);
    if (job->spec.retain <= 0)
        runner_forget(runner, job);
    runner_release(runner, job);
}

void run_finish_again(struct run *run) {
    run_publish(run);
}

static void run_finish(struct run *run) {
    struct runner *runner = run->runner;
    struct job *job = run->job;
    bool launched = job->pid > 0;
    if (launched && !job->life.tree_over)
        survivors_collect(run);
    job->outcome.survivors_unknown |= job->life.unproven;
    job->outcome.cause = job->life.cause;
    if (job->life.launch_expired && job->life.cause.reason == REASON_NONE) {
        job->outcome.stage = STAGE_EXEC;
        job->outcome.error = ETIMEDOUT;
        job->pid = 0;
        job->started_at = 0;
    }
    if (launched && run->tree && tree_usage(run->tree, &job->outcome.end.usage, &job->outcome.oom) == 0 && run->kept)
        run->kept->launch.end.usage = job->outcome.end.usage; // what the next worker tells is the same
    job->outcome.reason = outcome_reason(&job->outcome, launched);
    if (job->ended_at <= 0)
        job->ended_at = now_wall();
    run_keep(run); // from here on it is final, whoever tells
    ev_timer_stop(runner->parts.loop, &run->timer);
    run_input_close(run);
    run_archive_cancel(run);
    tree_free(TAKE_PTR(run->tree));
    descriptors_give(runner->parts.descriptors, run->descriptors);
    run_account_end(run);
    runner->stats.live--;
    runner->stats.by_reason[job->outcome.reason]++;
    job->account->by_reason[job->outcome.reason]++;
    run_publish(run);
}

void run_finish_all(struct runner *runner) {
    while (runner->finishing) {
        struct run *run = runner->finishing;
        runner->finishing = run->next_finishing;
        run->is_finishing = false;
        run_finish(run);
    }
    ev_idle_stop(runner->parts.loop, &runner->again);
    run_history_trim(runner);
}

void run_history_trim(struct runner *runner) {
    if (runner->parts.history)
        run_cache_trim(runner);
    const struct runner_parts *parts = &runner->parts;
    for (;;) {
        bool too_many = (int64_t)registry_final_count(parts->registry) > parts->history_max;
        if (!too_many && runner->history_bytes <= parts->history_bytes_max)
            return;
        const struct owner *most = owners_largest(parts->owners, !too_many);
        struct job *oldest = registry_oldest_final(parts->registry);
        while (oldest && oldest->account != most)
            oldest = oldest->final_next;
        if (!oldest)
            return;
        if (!run_leave(run_of(oldest)))
            runner_forget(runner, oldest);
    }
}

void run_free(struct run *run) {
    if (!run)
        return;
    ev_timer_stop(run->runner->parts.loop, &run->timer);
    for (int s = 0; s < STREAM_COUNT; s++)
        if (run->pipes[s].spool)
            spool_done(run->pipes[s].spool);
    if (run->kept)
        kept_drop(run->runner->parts.kept, KEPT_JOB, run->kept);
    for (int s = 0; s < STREAM_COUNT && !run->kept; s++)
        free(run->pipes[s].spool);
    order_done(&run->order);
    if (run->order_bytes > 0)
        run_order_account(run);
    if (run->job->account)
        run->job->account->queued_bytes -= run->account_bytes;
    free(run->archived_spec);
    free(run);
}

static void job_free(struct runner *runner, struct job *job) {
    runner->listener->gone(job, runner->data);
    run_free(job->run);
    owner_release(runner->parts.owners, job->account);
    spec_done(&job->spec);
    outcome_done(&job->outcome);
    free(job);
}

void runner_hold(struct job *job) {
    job->references++;
}

void runner_release(struct runner *runner, struct job *job) {
    if (--job->references == 0 && job->forgotten)
        job_free(runner, job);
}

void runner_forget(struct runner *runner, struct job *job) {
    if (job->forgotten)
        return;
    struct run *run = run_of(job);
    job->forgotten = true;
    if (run->is_durable || runner->parts.history)
        run_unarchive(run);
    run_remember_end(run);
    run_keep_end(run); // nor shall the next worker know it
    registry_remove(runner->parts.registry, job);
    ev_timer_stop(runner->parts.loop, &run->timer);
    run_final_count(run);
    job->references++;
    runner->listener->forgotten(job, runner->data);
    runner_release(runner, job);
}
