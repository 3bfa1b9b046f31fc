// Final jobs leave memory for the history.
#include "daemon/runner/archiving.h"

#include <utlist.h>

#include "common/util.h"
#include "daemon/runner/keeping.h"

enum {
    CACHE_JOBS = 64,           // final jobs that stay in memory although the history has them
    CACHE_BYTES = 4 << 20,     // and their output, and what their clients gave
    CACHE_TURN = 64,           // looked at at once
    CACHE_RETAIN_LEAST = 3600, // seconds: whose time is soon over stays, for the exact end of it,
    CACHE_SPEC_MOST = 8192,    // where their clients gave no more than so much
};
#define ARCHIVE_LATER 0.1 // seconds from a start until the history hears of it: most jobs are over by then

static char *copy(const char *text, bool *failed) {
    char *own = text ? strdup(text) : NULL;
    *failed |= text && !own;
    return own;
}

static char **labels_copy(const struct spec *spec, bool *failed) {
    if (spec->label_count == 0)
        return NULL;
    char **labels = calloc(spec->label_count * 2 + 1, sizeof(*labels));
    *failed |= !labels;
    for (size_t i = 0; labels && i < spec->label_count; i++) {
        labels[2 * i] = copy(spec->labels[i].name, failed);
        labels[2 * i + 1] = copy(spec->labels[i].value, failed);
    }
    return labels;
}

static void stream_fill(struct history_stream *to, const struct spool *spool, bool is_final, bool *failed) {
    to->head_bytes = spool->head_bytes;
    to->tail_bytes = spool->tail_bytes;
    to->ring_bytes = spool->ring_bytes;
    to->limit_bytes = spool->limit_bytes;
    to->total = spool->total;
    to->stored = spool->stored;
    if (!is_final)
        return;
    const char *data;
    to->size = spool_image(spool, &data, &to->path);
    to->has_file = spool->path != NULL;
    if (to->has_file || to->size > HISTORY_INLINE || !data)
        return;
    free(TAKE_PTR(to->path));
    to->data = malloc(to->size + 1);
    if (to->data)
        memcpy(to->data, data, to->size);
    *failed |= !to->data;
}

static void outcome_copy(struct outcome *to, const struct outcome *from, bool *failed) {
    *to = *from;
    to->survivors = NULL;
    to->survivor_count = 0;
    if (from->survivor_count == 0)
        return;
    to->survivors = malloc(from->survivor_count * sizeof(pid_t));
    *failed |= !to->survivors;
    if (!to->survivors)
        return;
    memcpy(to->survivors, from->survivors, from->survivor_count * sizeof(pid_t));
    to->survivor_count = from->survivor_count;
}

static char *spec_copy(const struct run *run, bool *failed) {
    size_t size;
    const char *text = run->archived_spec ? run->archived_spec : runner_kept_spec(run->runner, run->job, &size);
    if (run->archived_spec)
        size = strlen(text);
    char *own = text ? strndup(text, size) : NULL;
    *failed |= !own;
    return own;
}

void run_archive(struct run *run) {
    struct history *history = run->runner->parts.history;
    const struct job *job = run->job;
    struct history_job *h = history ? calloc(1, sizeof(*h)) : NULL;
    bool failed = false;
    if (!h)
        return;
    h->id = job->id;
    h->owner = job->owner;
    h->name = copy(job->spec.name, &failed);
    h->key = copy(job->spec.key, &failed);
    h->spec = spec_copy(run, &failed);
    h->labels = labels_copy(&job->spec, &failed);
    h->pid = job->pid;
    h->attempt = job->attempt;
    h->created_at = job->created_at;
    h->started_at = job->started_at;
    h->ended_at = job->ended_at;
    h->elapsed = job_elapsed(job, now_mono());
    h->is_final = job_is_final(job);
    h->is_new = !run->is_put;
    h->expires_at = h->is_final ? job->ended_at + job->spec.retain : job->spec.retain;
    outcome_copy(&h->outcome, &job->outcome, &failed);
    failed |= h->is_final && order_copy(&h->order, &run->order) < 0;
    for (int s = 0; s < STREAM_COUNT; s++)
        stream_fill(&h->streams[s], run->pipes[s].spool, h->is_final, &failed);
    run->is_put |= !failed;
    if (failed)
        history_job_free(h); // out of memory: memory and the next worker have it all the same
    else
        history_put(history, h);
    history_reserve(history, run->runner->parts.kept->head->next_job, run->runner->parts.kept->head->last_event + 1);
}

void run_archived(struct run *run) {
    struct runner *runner = run->runner;
    const struct job *job = run->job;
    run->is_archived = true;
    if (!run->archived_spec) {
        bool failed = false;
        run->archived_spec = spec_copy(run, &failed);
    }
    for (int s = 0; s < STREAM_COUNT; s++) {
        struct spool *spool = run->pipes[s].spool;
        const char *data;
        char *path;
        bool large = spool_image(spool, &data, &path) > HISTORY_INLINE && !spool->path;
        free(path);
        _cleanup_free_ char *stored = large ? history_output(runner->parts.history, job->id, s) : NULL;
        if (stored)
            spool_move(spool, stored);
        else
            run_pipe_seal(&run->pipes[s]);
    }
    run_keep_end(run);
    run_final_count(run);
    run_cache_trim(runner);
}

void run_unarchive(struct run *run) {
    if (run->runner->parts.history)
        history_forget(run->runner->parts.history, run->job->id);
}

static bool may_leave(const struct run *run) {
    const struct job *job = run->job;
    bool may = job->spec.retain >= CACHE_RETAIN_LEAST || run->spec_bytes > CACHE_SPEC_MOST;
    return job->references == 0 && may;
}

static void on_archive(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct runner *runner = timer->data;
    while (runner->unarchived) {
        struct run *run = runner->unarchived;
        run_archive_cancel(run);
        run_archive(run);
    }
}

void run_archive_later(struct run *run) {
    struct runner *runner = run->runner;
    if (!runner->parts.history || run->is_unarchived)
        return;
    run->is_unarchived = true;
    DL_APPEND2(runner->unarchived, run, unarchived_prev, unarchived_next);
    if (ev_is_active(&runner->archive))
        return;
    ev_timer_init(&runner->archive, on_archive, ARCHIVE_LATER, 0);
    runner->archive.data = runner;
    ev_timer_start(runner->parts.loop, &runner->archive);
}

void run_archive_cancel(struct run *run) {
    if (run->is_unarchived)
        DL_DELETE2(run->runner->unarchived, run, unarchived_prev, unarchived_next);
    run->is_unarchived = false;
}

bool run_leave(struct run *run) {
    struct runner *runner = run->runner;
    struct job *job = run->job;
    if (!runner->parts.history || !run->is_archived || run->kept)
        return false;
    registry_remove(runner->parts.registry, job);
    job->forgotten = true;
    run_final_count(run);
    job->references++;
    runner->listener->left(job, runner->data);
    runner_release(runner, job);
    return true;
}

static void cache_shrink(struct runner *runner, size_t jobs, int64_t bytes) {
    struct registry *registry = runner->parts.registry;
    struct job *job = registry_oldest_final(registry);
    for (int n = 0; n < CACHE_TURN && job && (registry_final_count(registry) > jobs || runner->history_bytes > bytes);
         n++) {
        struct job *next = job->final_next;
        if (may_leave(run_of(job)))
            run_leave(run_of(job));
        job = next;
    }
}

void run_cache_trim(struct runner *runner) {
    cache_shrink(runner, CACHE_JOBS, CACHE_BYTES);
}

void runner_rest(struct runner *runner) {
    cache_shrink(runner, 0, 0);
}

void runner_committed(struct runner *runner, int64_t id, bool is_final) {
    struct job *job = registry_find(runner->parts.registry, id);
    if (!job)
        return;
    run_of(job)->is_durable = true;
    if (is_final && job_is_final(job))
        run_archived(run_of(job));
}

bool runner_is_archived(const struct runner *runner) {
    return !runner->unarchived;
}

bool runner_is_durable(const struct job *job) {
    return run_of(job)->is_durable;
}

// What a job of the history has in memory is on its owner's account as long as somebody looks at it.
static void loaded_account(struct run *run) {
    struct owner *owner = run->job->account;
    size_t bytes = run->archived_spec ? strlen(run->archived_spec) : 0;
    bytes += run->job->spec.argc * sizeof(char *) + run->order.capacity * sizeof(struct order_run);
    for (int s = 0; s < STREAM_COUNT; s++)
        bytes += (size_t)spool_taken(run->pipes[s].spool);
    if (!owner)
        return;
    owner->queued_bytes += (int64_t)bytes - run->account_bytes;
    run->account_bytes = (int64_t)bytes;
}

void runner_labeled(struct job *job, const char *spec) {
    struct run *run = run_of(job);
    if (spec && run->archived_spec) {
        free(run->archived_spec);
        run->archived_spec = strdup(spec);
    }
    if (job->forgotten)
        loaded_account(run);
    run_final_count(run);
    if (spec && (job_is_final(job) || job->started_at > 0))
        run_archive(run);
}

void runner_archive_all(struct runner *runner) {
    for (struct job *job = registry_newest(runner->parts.registry); job; job = job->older)
        run_archive(run_of(job));
}

const char *runner_archived_spec(const struct job *job) {
    return run_of(job)->archived_spec;
}

static void stream_load(struct run_pipe *pipe, struct history_stream *from) {
    struct spool *spool = pipe->spool;
    *spool = (struct spool){.head_bytes = from->head_bytes,
                            .tail_bytes = from->tail_bytes,
                            .ring_bytes = from->ring_bytes,
                            .limit_bytes = from->limit_bytes,
                            .total = from->total,
                            .stored = from->stored};
    char *data = TAKE_PTR(from->data);
    spool_load(spool, data, from->size, from->path);
}

struct job *runner_load(struct runner *runner, struct history_job *h, struct spec *spec) {
    struct job *job = calloc(1, sizeof(*job));
    struct run *run = job ? run_new(runner, job) : NULL;
    struct spool *spools[STREAM_COUNT] = {malloc(sizeof(struct spool)), malloc(sizeof(struct spool))};
    if (!run || !spools[0] || !spools[1]) {
        free(spools[0]);
        free(spools[1]);
        free(run);
        free(job);
        return NULL;
    }
    job->id = h->id;
    job->owner = h->owner;
    job->account = owner_get(runner->parts.owners, h->owner);
    job->pid = h->pid;
    job->attempt = h->attempt;
    job->created_at = h->created_at;
    job->started_at = h->started_at;
    job->ended_at = h->ended_at;
    job->started_mono = h->started_at > 0 ? 1 : 0; // what is left of it is how long it ran
    job->ended_mono = h->elapsed >= 0 ? 1 + h->elapsed : 0;
    job->spec = *spec;
    *spec = (struct spec){0};
    job->outcome = h->outcome;
    h->outcome = (struct outcome){0};
    lifecycle_init(&job->life, &job->spec, 1);
    job->life.state = LIFE_FINAL;
    job->run = run;
    job->forgotten = true; // by memory
    job->references = 1;
    run->archived_spec = TAKE_PTR(h->spec);
    run->order = h->order;
    h->order = (struct order){0};
    run->is_archived = run->is_durable = run->is_put = true;
    for (int s = 0; s < STREAM_COUNT; s++) {
        run->pipes[s].spool = spools[s];
        stream_load(&run->pipes[s], &h->streams[s]);
    }
    loaded_account(run);
    return job;
}
