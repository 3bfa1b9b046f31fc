// The history's database.
#include "daemon/store/history_file.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/store/history_row.h"

enum { SCHEMA_VERSION = 5, BUSY_MS = 2000 };

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
    "ALTER TABLE job ADD COLUMN usage_from INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE job ADD COLUMN read_bytes INTEGER NOT NULL DEFAULT -1;"
    "ALTER TABLE job ADD COLUMN written_bytes INTEGER NOT NULL DEFAULT -1;"
    "ALTER TABLE job ADD COLUMN peak_bytes INTEGER NOT NULL DEFAULT -1;",
    "CREATE INDEX job_name_of_any ON job (name, id) WHERE name IS NOT NULL;", // for who sees everybody's
    // Whose the job is comes first: who lists their own by a label passes by nobody else's, and learns nothing from the time.
    "CREATE TABLE owned (owner INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, job INTEGER NOT NULL,"
    " PRIMARY KEY (owner, name, value, job)) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO owned SELECT job.owner, label.name, value, job FROM label JOIN job ON job.id = label.job"
    " ORDER BY job.owner, label.name, value, job;" // in that order it takes a third of the time
    "DROP TABLE label; ALTER TABLE owned RENAME TO label;"
    "CREATE INDEX label_job ON label (job); CREATE INDEX label_of_any ON label (name, value, job);",
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
    if (r == SQLITE_OK && version < 0)
        return SQLITE_CORRUPT;
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

int history_file_check(struct history_file *f) {
    sqlite3_stmt *statement = NULL;
    int r = sqlite3_prepare_v2(f->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
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
                                   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&f->put, put},
        {&f->drop, "DELETE FROM job WHERE id = ?"},
        {&f->drop_labels, "DELETE FROM label WHERE job = ?"},
        {&f->label, "INSERT OR REPLACE INTO label (name, value, job, owner) VALUES (?, ?, ?, ?)"},
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
    struct stat st;
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
    if (r == SQLITE_OK && writes)
        r = migrate(f->db);
    if (r == SQLITE_OK && writes)
        r = prepare(f);
    if (r == SQLITE_OK && stat(path, &st) < 0)
        r = SQLITE_CANTOPEN;
    if (r != SQLITE_OK) {
        history_file_close(f);
        return r;
    }
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    return r;
}

bool history_file_is_there(const struct history_file *f, const char *path) {
    struct stat st;
    return stat(path, &st) < 0 ? errno != ENOENT && errno != ENOTDIR : st.st_dev == f->dev && st.st_ino == f->ino;
}

void history_file_close(struct history_file *f) {
    sqlite3_stmt *all[] = {f->put, f->drop, f->drop_labels, f->label, f->size, f->note, f->find};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(f->db);
    holders_done(&f->holders);
    *f = (struct history_file){0};
}

void history_file_rest(struct history_file *f) {
    sqlite3_finalize(TAKE_PTR(f->find)); // hundreds of small pieces, wherever there was room for them
    if (f->db)
        sqlite3_db_release_memory(f->db);
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

// What the row of a final job counts for, before it changes. Returns whose it is: root's, where there is none.
static uid_t uncount(struct history_file *f, int64_t id) {
    uid_t owner = 0;
    sqlite3_bind_int64(f->size, 1, id);
    if (sqlite3_step(f->size) == SQLITE_ROW) {
        owner = (uid_t)sqlite3_column_int64(f->size, 1);
        count(f, owner, -1, -sqlite3_column_int64(f->size, 0));
    }
    sqlite3_reset(f->size);
    return owner;
}

static int put_labels(struct history_file *f, const struct history_job *job, bool replaces) {
    int r = replaces ? run_with(f->drop_labels, job->id) : SQLITE_OK;
    for (char **label = job->labels; r == SQLITE_OK && label && *label; label += 2) {
        sqlite3_bind_text(f->label, 1, label[0], -1, SQLITE_STATIC);
        sqlite3_bind_text(f->label, 2, label[1], -1, SQLITE_STATIC);
        sqlite3_bind_int64(f->label, 3, job->id);
        sqlite3_bind_int64(f->label, 4, job->owner);
        r = run(f->label);
    }
    return r;
}

int history_file_put(struct history_file *f, const struct history_job *job, bool replaces) {
    int64_t bytes;
    int bound = history_row_bind(f->put, job, &bytes);
    if (bound != SQLITE_OK)
        return bound;
    if (replaces)
        uncount(f, job->id);
    int r = run(f->put);
    if (job->is_final)
        count(f, job->owner, 1, bytes);
    return r == SQLITE_OK ? put_labels(f, job, replaces) : r;
}

int history_file_drop(struct history_file *f, int64_t id, uid_t *ret_owner) {
    *ret_owner = uncount(f, id);
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
