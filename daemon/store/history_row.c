// Rows of the history.
#include "daemon/store/history_row.h"

#include "common/util.h"

struct binder {
    sqlite3_stmt *statement;
    int column, result;
};

static void add_int(struct binder *b, int64_t value) {
    b->result |= sqlite3_bind_int64(b->statement, ++b->column, value);
}

static void add_real(struct binder *b, double value) {
    b->result |= sqlite3_bind_double(b->statement, ++b->column, value);
}

static void add_text(struct binder *b, const char *value) {
    b->result |= value ? sqlite3_bind_text(b->statement, ++b->column, value, -1, SQLITE_STATIC)
                       : sqlite3_bind_null(b->statement, ++b->column);
}

static void add_blob(struct binder *b, const void *data, size_t size) {
    b->result |= data ? sqlite3_bind_blob64(b->statement, ++b->column, data, size, SQLITE_STATIC)
                      : sqlite3_bind_null(b->statement, ++b->column);
}

static void add_outcome(struct binder *b, const struct outcome *o) {
    const struct usage *u = &o->end.usage;
    add_int(b, o->reason);
    add_int(b, o->cause.reason);
    add_int(b, o->cause.killer);
    add_int(b, o->cause.uid);
    add_int(b, o->end.known);
    add_int(b, o->end.exit_code);
    add_int(b, o->end.signal);
    add_int(b, o->end.core_dumped);
    add_real(b, u->user);
    add_real(b, u->system);
    add_int(b, u->max_rss_bytes);
    add_int(b, u->minor_faults);
    add_int(b, u->major_faults);
    add_int(b, u->voluntary_switches);
    add_int(b, u->involuntary_switches);
    add_int(b, o->stage);
    add_int(b, o->error);
    add_blob(b, o->survivors, o->survivor_count * sizeof(pid_t));
    add_int(b, o->survivors_unknown);
    add_int(b, o->incomplete);
}

static void add_stream(struct binder *b, const struct history_stream *s) {
    add_int(b, s->head_bytes);
    add_int(b, s->tail_bytes);
    add_int(b, s->ring_bytes);
    add_int(b, s->limit_bytes);
    add_int(b, s->total);
    add_int(b, s->stored);
    add_blob(b, s->data, s->size);
    add_int(b, s->has_file);
}

enum { USAGE_UNKNOWN = -1 }; // in the place of its source

static void add_usage(struct binder *b, const struct leader_exit *end) {
    add_int(b, end->no_usage ? USAGE_UNKNOWN : (int64_t)end->usage.source);
    add_int(b, end->usage.read_bytes);
    add_int(b, end->usage.written_bytes);
    add_int(b, end->usage.peak_bytes);
}

int history_row_bind(sqlite3_stmt *statement, const struct history_job *job, int64_t *ret_bytes) {
    struct binder b = {.statement = statement};
    add_int(&b, job->id);
    add_int(&b, job->owner);
    add_text(&b, job->name);
    add_text(&b, job->key);
    add_text(&b, job->spec);
    add_int(&b, job->is_final);
    add_int(&b, job->pid);
    add_int(&b, job->attempt);
    add_real(&b, job->created_at);
    add_real(&b, job->started_at);
    add_real(&b, job->ended_at);
    add_real(&b, job->elapsed);
    add_real(&b, job->expires_at);
    add_outcome(&b, &job->outcome);
    add_stream(&b, &job->streams[0]);
    add_stream(&b, &job->streams[1]);
    *ret_bytes = (int64_t)(strlen(job->spec) + job->streams[0].size + job->streams[1].size +
                           job->order.count * sizeof(struct order_run)) +
                 512;
    add_int(&b, *ret_bytes);
    add_blob(&b, job->order.runs, job->order.count * sizeof(struct order_run));
    add_int(&b, job->order.full);
    add_usage(&b, &job->outcome.end);
    return b.result == SQLITE_OK && b.column == HISTORY_COLUMN_COUNT ? SQLITE_OK : SQLITE_NOMEM;
}

struct reader {
    sqlite3_stmt *row;
    int column;
    bool failed;
};

static int64_t next_int(struct reader *r) {
    return sqlite3_column_int64(r->row, r->column++);
}

static double next_real(struct reader *r) {
    return sqlite3_column_double(r->row, r->column++);
}

static char *next_text(struct reader *r) {
    const char *text = (const char *)sqlite3_column_text(r->row, r->column++);
    char *copy = text ? strdup(text) : NULL;
    r->failed |= text && !copy;
    return copy;
}

static void *next_blob(struct reader *r, size_t *ret_size) {
    const void *data = sqlite3_column_blob(r->row, r->column);
    size_t size = (size_t)sqlite3_column_bytes(r->row, r->column++);
    char *copy = data ? malloc(size + 1) : NULL;
    if (copy)
        memcpy(copy, data, size);
    r->failed |= data && !copy;
    *ret_size = copy ? size : 0;
    return copy;
}

static int64_t within(int64_t value, int64_t max) {
    return value < 0 || value > max ? 0 : value;
}

static void read_outcome(struct reader *r, struct outcome *o) {
    struct usage *u = &o->end.usage;
    int64_t reason = next_int(r), cause = next_int(r);
    o->reason = (enum reason)(reason < 0 || reason >= REASON_COUNT ? REASON_LOST : reason);
    o->cause.reason = (enum reason)(cause < 0 || cause >= REASON_COUNT ? REASON_NONE : cause);
    o->cause.killer = (enum killer)within(next_int(r), KILLER_DAEMON);
    o->cause.uid = next_int(r);
    o->end.known = next_int(r);
    o->end.exit_code = (int)next_int(r);
    o->end.signal = (int)next_int(r);
    o->end.core_dumped = next_int(r);
    u->user = next_real(r);
    u->system = next_real(r);
    u->max_rss_bytes = next_int(r);
    u->minor_faults = next_int(r);
    u->major_faults = next_int(r);
    u->voluntary_switches = next_int(r);
    u->involuntary_switches = next_int(r);
    o->stage = (enum launch_stage)within(next_int(r), STAGE_COUNT - 1);
    o->error = (int)next_int(r);
    size_t size;
    o->survivors = next_blob(r, &size);
    o->survivor_count = size / sizeof(pid_t);
    o->survivors_unknown = next_int(r);
    o->incomplete = next_int(r);
}

static void read_stream(struct reader *r, struct history_stream *s) {
    s->head_bytes = next_int(r);
    s->tail_bytes = next_int(r);
    s->ring_bytes = next_int(r);
    s->limit_bytes = next_int(r);
    s->total = next_int(r);
    s->stored = next_int(r);
    s->data = next_blob(r, &s->size);
    s->has_file = next_int(r);
}

static void read_usage(struct reader *r, struct leader_exit *end) {
    int64_t source = next_int(r);
    end->no_usage = source == USAGE_UNKNOWN;
    end->usage.source = source == USAGE_CGROUP ? USAGE_CGROUP : USAGE_WAIT4;
    end->usage.read_bytes = next_int(r);
    end->usage.written_bytes = next_int(r);
    end->usage.peak_bytes = next_int(r);
}

struct history_job *history_row_job(sqlite3_stmt *row) {
    struct history_job *job = calloc(1, sizeof(*job));
    struct reader r = {.row = row};
    if (!job)
        return NULL;
    job->id = next_int(&r);
    job->owner = (uid_t)next_int(&r);
    job->name = next_text(&r);
    job->key = next_text(&r);
    job->spec = next_text(&r);
    job->is_final = next_int(&r);
    job->pid = (pid_t)next_int(&r);
    job->attempt = (int)next_int(&r);
    job->created_at = next_real(&r);
    job->started_at = next_real(&r);
    job->ended_at = next_real(&r);
    job->elapsed = next_real(&r);
    job->expires_at = next_real(&r);
    read_outcome(&r, &job->outcome);
    read_stream(&r, &job->streams[0]);
    read_stream(&r, &job->streams[1]);
    r.column++; // bytes
    size_t size;
    job->order.runs = next_blob(&r, &size);
    job->order.count = job->order.capacity = MIN(size / sizeof(struct order_run), (size_t)ORDER_MAX);
    job->order.full = next_int(&r);
    read_usage(&r, &job->outcome.end);
    if (!r.failed && job->spec)
        return job;
    history_job_free(job);
    return NULL;
}
