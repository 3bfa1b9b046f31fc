// Runs into records.
#include "daemon/runner/keeping.h"

#include <fcntl.h>

#include <utlist.h>

#include "common/util.h"

enum { REMEMBERED_MOST = 1000 };

_Static_assert(sizeof(struct kept_job) <= KEPT_JOB_SIZE, "a job's record has outgrown its place");

// Final jobs that are remembered make room.
static int spec_keep(struct run *run, const struct start *start) {
    struct runner *runner = run->runner;
    for (;;) {
        int r = kept_blob_put(runner->parts.kept, &run->kept->spec, start->spec_text, start->spec_size);
        if (r == 0 || !runner->remembered)
            return r;
        run_remember_end(runner->remembered);
    }
}

int run_keep_begin(struct run *run, const struct start *start) {
    struct kept *kept = run->runner->parts.kept;
    struct kept_job *record = kept_take(kept, KEPT_JOB, run->job->id);
    if (!record)
        return -EUSERS;
    const struct spec *spec = &run->job->spec;
    run->kept = record;
    for (int s = 0; s < STREAM_COUNT; s++) {
        run->pipes[s].spool = &record->spools[s];
        spool_init(run->pipes[s].spool, run->runner->parts.spools, spec->head_bytes, spec->tail_bytes,
                   spec->limit_bytes);
        run->pipes[s].spool->share = &run->job->account->output;
    }
    for (int i = 0; i < 3; i++)
        record->fds[i] = MAX(start->fds[i], 0);
    record->launch.since = kept->head->journal_end;
    record->launch.keeper = kept->head->keeper;
    record->state.reason = REASON_NONE;
    // Without its spec a job is as good as unknown to the next worker; without its secrets it can't be launched by it.
    if (start->spec_text && spec_keep(run, start) < 0)
        return -EUSERS;
    if (start->secrets_text)
        kept_blob_put(kept, &record->secrets, start->secrets_text, start->secrets_size);
    return 0;
}

void run_keep(struct run *run) {
    struct kept_job *record = run->kept;
    const struct job *job = run->job;
    if (!record)
        return;
    struct kept_state state = {
        .owner = job->owner,
        .pid = job->pid,
        .attempt = job->attempt,
        .created_at = job->created_at,
        .started_at = job->started_at,
        .ended_at = job->ended_at,
        .started_mono = job->started_mono,
        .ended_mono = job->ended_mono,
        .life = job->life,
        .reason = job->outcome.reason,
        .stage = job->outcome.stage,
        .error = job->outcome.error,
        .survivors_unknown = job->outcome.survivors_unknown,
        .incomplete = job->outcome.incomplete,
        .stopping_told = run->stopping_told,
        .in_over = run->in_over,
        .in_line = run->in_line,
        .rows = job->spec.rows,
        .cols = job->spec.cols,
        .cause = job->outcome.cause,
    };
    if (run->tree)
        tree_keep(run->tree, run->launch, &state.tree);
    kept_store(run->runner->parts.kept, &record->state, &state, sizeof(state));
}

size_t run_order_most(const struct run *run) {
    const struct owner *owner = run->job->account;
    int64_t left = owner->is_exempt ? INT64_MAX : MAX(OWNER_ORDER_BYTES - owner->order_bytes, (int64_t)0);
    return run->order.capacity + (size_t)left / sizeof(struct order_run);
}

void run_order_account(struct run *run) {
    int64_t bytes = (int64_t)(run->order.capacity * sizeof(struct order_run));
    run->job->account->order_bytes += bytes - run->order_bytes;
    run->order_bytes = bytes;
}

// A run is written before it counts.
void run_keep_order(struct run *run) {
    struct kept_job *record = run->kept;
    struct order *order = &run->order;
    run_order_account(run);
    if (!record || (record->order_count == order->count && record->order_full == order->full && !order->changed))
        return;
    struct kept *kept = run->runner->parts.kept;
    record->order_full = order->full;
    if (order->changed) // all are written anew
        __atomic_store_n(&record->order_count, 0, __ATOMIC_RELEASE);
    order->changed = false;
    if (order->count * sizeof(struct order_run) > record->order.size) {
        // What does not fit is in no known order, should it come to that.
        if (kept_blob_put(kept, &record->order, order->runs, order->capacity * sizeof(struct order_run)) < 0)
            record->order_full = true;
    } else if (order->count > 0) { // none at all, where there was no room for the first
        char *runs = kept_blob_edit(kept, &record->order);
        size_t at = record->order_count * sizeof(struct order_run);
        memcpy(runs + at, (const char *)order->runs + at, order->count * sizeof(struct order_run) - at);
    }
    if (record->order.size >= order->count * sizeof(struct order_run))
        __atomic_store_n(&record->order_count, (uint32_t)order->count, __ATOMIC_RELEASE);
}

void run_keep_launched(struct run *run) {
    struct kept_job *record = run->kept;
    if (!record)
        return;
    kept_blob_drop(run->runner->parts.kept, &record->secrets);
    for (int i = 0; i < 3; i++)
        record->fds[i] = 0;
}

void run_keep_end(struct run *run) {
    struct kept *kept = run->runner->parts.kept;
    struct kept_job *record = run->kept;
    if (!record)
        return;
    struct spool *own[STREAM_COUNT];
    for (int s = 0; s < STREAM_COUNT; s++)
        own[s] = malloc(sizeof(*own[s]));
    if (!own[0] || !own[1]) { // it is remembered for longer, then
        free(own[0]);
        free(own[1]);
        return;
    }
    for (int s = 0; s < STREAM_COUNT; s++) {
        *own[s] = record->spools[s];
        run->pipes[s].spool = own[s];
    }
    run->kept = NULL;
    kept_blob_drop(kept, &record->spec);
    kept_blob_drop(kept, &record->secrets);
    kept_blob_drop(kept, &record->survivors);
    kept_blob_drop(kept, &record->order);
    kept_drop(kept, KEPT_JOB, record);
}

static void drop_closed(int *fd) {
    if (*fd > 0 && fcntl(*fd, F_GETFD) < 0)
        *fd = 0;
}

void runner_drop_closed(struct kept *kept) {
    for (struct kept_job *record = NULL; (record = kept_next(kept, KEPT_JOB, record));) {
        int *const fds[] = {&record->pipes[0],       &record->pipes[1],         &record->in_fd,
                            &record->launch.out_fd,  &record->launch.err_fd,    &record->launch.pidfd,
                            &record->launch.control, &record->state.tree.pidfd, &record->state.tree.control};
        for (size_t i = 0; i < ARRAY_SIZE(fds) && record->state.reason == REASON_NONE; i++)
            drop_closed(fds[i]);
    }
}

void run_remember_end(struct run *run) {
    struct runner *runner = run->runner;
    if (!run->is_remembered)
        return;
    DL_DELETE2(runner->remembered, run, remembered_prev, remembered_next);
    runner->remembered_count--;
    run->is_remembered = false;
    run_keep_end(run);
    for (int s = 0; s < STREAM_COUNT; s++)
        run_pipe_seal(&run->pipes[s]);
    run_final_count(run);
}

void run_remember(struct run *run) {
    struct runner *runner = run->runner;
    run->is_remembered = true;
    DL_APPEND2(runner->remembered, run, remembered_prev, remembered_next);
    if (++runner->remembered_count > REMEMBERED_MOST)
        run_remember_end(runner->remembered);
}

const char *runner_kept_spec(const struct runner *runner, const struct job *job, size_t *ret_size) {
    const struct kept_job *record = run_of(job)->kept;
    return record ? runner_record_spec(runner, record, ret_size) : NULL;
}

int runner_keep_spec(struct runner *runner, struct job *job, const char *text, size_t size, const char **ret_limit) {
    struct run *run = run_of(job);
    struct owner *owner = job->account;
    if (!run->kept)
        return 0;
    int64_t more = job_is_final(job) ? 0 : (int64_t)size - run->kept->spec.size; // a final one is on no account
    const char *limit = NULL;
    if (more > 0 && !owner_may(owner, owner->queued_bytes, more, owners_limits(runner->parts.owners)->queued_bytes))
        limit = "owner_queued_bytes";
    else if (kept_blob_put(runner->parts.kept, &run->kept->spec, text, size) < 0)
        limit = "records";
    *ret_limit = limit;
    if (limit)
        return -EUSERS;
    run->account_bytes += more;
    owner->queued_bytes += more;
    return 0;
}

void runner_keep_lease(struct job *job, int64_t session) {
    struct kept_job *record = run_of(job)->kept;
    if (record)
        record->lease = session;
}

int64_t runner_kept_lease(const struct job *job) {
    const struct kept_job *record = run_of(job)->kept;
    return record ? record->lease : 0;
}

// Bytes that UTF-8 never has, other ones each time.
static void mark_make(struct kept_read *read, uint64_t number) {
    uint64_t words[KEPT_MARK / 8] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = ((number + i + 1) * 0x9e3779b97f4a7c15ull) | 0xf8f8f8f8f8f8f8f8ull;
    memcpy(read->mark, words, sizeof(words));
}

void run_read_begin(struct run_pipe *pipe, char *to, size_t size) {
    if (!pipe->run->kept)
        return;
    struct kept_head *head = pipe->run->runner->parts.kept->head;
    struct kept_read *read = &head->read;
    read->job = pipe->run->job->id;
    read->stream = pipe->stream;
    read->total = pipe->spool->total;
    read->stored = pipe->spool->stored;
    read->size = (uint32_t)size;
    read->is_marked = false;
    read->in_scratch = to == head->scratch;
    read->mark_size = (uint8_t)MIN(size, (size_t)KEPT_MARK);
    mark_make(read, (uint64_t)read->total + (uint64_t)read->job);
    memcpy(read->before, to, read->mark_size);
    __atomic_store_n(&read->armed, 1, __ATOMIC_SEQ_CST); // from here on the place may hold the mark
    memcpy(to, read->mark, read->mark_size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    read->is_marked = true;
}

void run_read_undo(struct run_pipe *pipe, char *to) {
    if (!pipe->run->kept)
        return;
    const struct kept_read *read = &pipe->run->runner->parts.kept->head->read;
    memcpy(to, read->before, read->mark_size);
    run_read_end(pipe);
}

void run_read_end(struct run_pipe *pipe) {
    if (pipe->run->kept)
        __atomic_store_n(&pipe->run->runner->parts.kept->head->read.armed, 0, __ATOMIC_RELEASE);
}
