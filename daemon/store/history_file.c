// Rows of the history.
#include "daemon/store/history_file.h"

#include <stdio.h>

#include "common/util.h"

enum { SCHEMA_VERSION = 2, BUSY_MS = 2000 };

// One step each from a version to the next; the first makes an empty file.
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE job (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, name TEXT, key TEXT, spec TEXT NOT NULL,"
    " final INTEGER NOT NULL, pid INTEGER, attempt INTEGER, created REAL, started REAL, ended REAL, elapsed REAL,"
    " expires REAL, reason INTEGER, cause INTEGER, killer INTEGER, killer_uid INTEGER, known INTEGER,"
    " exit_code INTEGER, signal INTEGER, core_dumped INTEGER, user REAL, system REAL, max_rss INTEGER,"
    " minor_faults INTEGER, major_faults INTEGER, voluntary INTEGER, involuntary INTEGER, stage INTEGER,"
    " errno INTEGER, survivors BLOB, survivors_unknown INTEGER, incomplete INTEGER,"
    " out_head INTEGER, out_tail INTEGER, out_ring INTEGER, out_limit INTEGER, out_total INTEGER,"
    " out_stored INTEGER, out_data BLOB, out_file INTEGER,"
    " err_head INTEGER, err_tail INTEGER, err_ring INTEGER, err_limit INTEGER, err_total INTEGER,"
    " err_stored INTEGER, err_data BLOB, err_file INTEGER, bytes INTEGER NOT NULL, runs BLOB, runs_full INTEGER);"
    "CREATE INDEX job_name ON job (owner, name, id) WHERE name IS NOT NULL;"
    "CREATE INDEX job_key ON job (owner, key) WHERE key IS NOT NULL;"
    "CREATE INDEX job_expires ON job (expires) WHERE final;"
    "CREATE INDEX job_ended ON job (ended) WHERE final;"
    "CREATE INDEX job_live ON job (id) WHERE NOT final;"
    "CREATE TABLE label (name TEXT NOT NULL, value TEXT NOT NULL, job INTEGER NOT NULL,"
    " PRIMARY KEY (name, value, job)) WITHOUT ROWID;"
    "CREATE INDEX label_job ON label (job);"
    "CREATE TABLE note (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
    "DROP INDEX job_ended; CREATE INDEX job_owner_ended ON job (owner, ended) WHERE final;"
    "CREATE INDEX job_owner ON job (owner, id) WHERE final;",
};

bool history_file_is_damaged(int code) {
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

static int number_of(sqlite3 *db, const char *sql, int64_t *ret_value) {
    sqlite3_stmt *statement = NULL;
    int r = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (r == SQLITE_OK && (r = sqlite3_step(statement)) == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return r == SQLITE_ROW || r == SQLITE_DONE ? SQLITE_OK : r;
}

static int migrate(sqlite3 *db) {
    int64_t version = 0;
    int r = number_of(db, "PRAGMA user_version", &version);
    if (r == SQLITE_OK && version > SCHEMA_VERSION)
        return SQLITE_MISMATCH; // a newer supd's
    for (; r == SQLITE_OK && version < SCHEMA_VERSION; version++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld; COMMIT", (long long)version + 1);
        r = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (r == SQLITE_OK)
            r = sqlite3_exec(db, migrations[version], NULL, NULL, NULL);
        if (r == SQLITE_OK)
            r = sqlite3_exec(db, sql, NULL, NULL, NULL);
        if (r != SQLITE_OK)
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}

static int check(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    int r = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (r == SQLITE_OK && (r = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *said = (const char *)sqlite3_column_text(statement, 0);
        r = said && streq(said, "ok") ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return r;
}

static int prepare(struct history_file *f) {
    static const char *const put = "INSERT OR REPLACE INTO job (" HISTORY_COLUMNS
                                   ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
                                   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&f->put, put},
        {&f->drop, "DELETE FROM job WHERE id = ?"},
        {&f->drop_labels, "DELETE FROM label WHERE job = ?"},
        {&f->label, "INSERT OR REPLACE INTO label (name, value, job) VALUES (?, ?, ?)"},
        {&f->size, "SELECT bytes, owner FROM job WHERE id = ? AND final"},
        {&f->note, "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)"},
    };
    int r = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_SIZE(all) && r == SQLITE_OK; i++)
        r = sqlite3_prepare_v3(f->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].statement, NULL);
    return r;
}

static void count(struct history_file *f, uid_t owner, int64_t count, int64_t bytes) {
    f->count += count;
    f->bytes += bytes;
    holders_add(&f->holders, owner, count, bytes);
}

int history_file_count(struct history_file *f) {
    sqlite3_stmt *rows = NULL;
    holders_done(&f->holders);
    f->count = f->bytes = 0;
    int r = sqlite3_prepare_v2(f->db, "SELECT owner, count(*), total(bytes) FROM job WHERE final GROUP BY owner", -1,
                               &rows, NULL);
    while (r == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW)
        count(f, (uid_t)sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1), sqlite3_column_int64(rows, 2));
    int over = sqlite3_finalize(rows);
    return r == SQLITE_OK ? over : r;
}

int history_file_open(struct history_file *f, const char *path, bool writes) {
    *f = (struct history_file){0};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writes ? SQLITE_OPEN_CREATE : 0);
    int r = sqlite3_open_v2(path, &f->db, flags, NULL);
    if (r == SQLITE_OK) {
        sqlite3_busy_timeout(f->db, BUSY_MS);
        sqlite3_extended_result_codes(f->db, 1);
        r = sqlite3_exec(f->db,
                         "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;"
                         "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000",
                         NULL, NULL, NULL);
    }
    if (r == SQLITE_OK && writes && (r = check(f->db)) == SQLITE_OK)
        r = migrate(f->db);
    if (r == SQLITE_OK && writes)
        r = prepare(f);
    if (r == SQLITE_OK && writes)
        r = history_file_count(f);
    if (r != SQLITE_OK)
        history_file_close(f);
    return r;
}

void history_file_close(struct history_file *f) {
    sqlite3_stmt *all[] = {f->put, f->drop, f->drop_labels, f->label, f->size, f->note};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(f->db);
    holders_done(&f->holders);
    *f = (struct history_file){0};
}

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

static int run(sqlite3_stmt *statement) {
    int r = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : r;
}

static int run_with(sqlite3_stmt *statement, int64_t value) {
    sqlite3_bind_int64(statement, 1, value);
    return run(statement);
}

// What the row of a final job counts for, before it changes.
static void uncount(struct history_file *f, int64_t id) {
    sqlite3_bind_int64(f->size, 1, id);
    if (sqlite3_step(f->size) == SQLITE_ROW)
        count(f, (uid_t)sqlite3_column_int64(f->size, 1), -1, -sqlite3_column_int64(f->size, 0));
    sqlite3_reset(f->size);
}

static int put_labels(struct history_file *f, const struct history_job *job, bool replaces) {
    int r = replaces ? run_with(f->drop_labels, job->id) : SQLITE_OK;
    for (char **label = job->labels; r == SQLITE_OK && label && *label; label += 2) {
        sqlite3_bind_text(f->label, 1, label[0], -1, SQLITE_STATIC);
        sqlite3_bind_text(f->label, 2, label[1], -1, SQLITE_STATIC);
        sqlite3_bind_int64(f->label, 3, job->id);
        r = run(f->label);
    }
    return r;
}

int history_file_put(struct history_file *f, const struct history_job *job, bool replaces) {
    struct binder b = {.statement = f->put};
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
    int64_t bytes = (int64_t)(strlen(job->spec) + job->streams[0].size + job->streams[1].size +
                              job->order.count * sizeof(struct order_run)) +
                    512;
    add_int(&b, bytes);
    add_blob(&b, job->order.runs, job->order.count * sizeof(struct order_run));
    add_int(&b, job->order.full);
    if (b.result != SQLITE_OK || b.column != HISTORY_COLUMN_COUNT)
        return SQLITE_NOMEM;
    if (replaces)
        uncount(f, job->id);
    int r = run(f->put);
    if (job->is_final)
        count(f, job->owner, 1, bytes);
    return r == SQLITE_OK ? put_labels(f, job, replaces) : r;
}

int history_file_drop(struct history_file *f, int64_t id) {
    uncount(f, id);
    int r = run_with(f->drop, id);
    return r == SQLITE_OK ? run_with(f->drop_labels, id) : r;
}

int history_file_note(struct history_file *f, const char *name, int64_t value) {
    sqlite3_bind_text(f->note, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(f->note, 2, value);
    return run(f->note);
}

int64_t history_file_noted(struct history_file *f, const char *name, int64_t fallback) {
    char sql[100];
    int64_t value = fallback;
    snprintf(sql, sizeof(sql), "SELECT value FROM note WHERE name = '%s'", name);
    number_of(f->db, sql, &value);
    return value;
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
    o->stage = (enum launch_stage)within(next_int(r), STAGE_EXEC);
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

struct history_job *history_file_job(sqlite3_stmt *row) {
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
    if (!r.failed && job->spec)
        return job;
    history_job_free(job);
    return NULL;
}
