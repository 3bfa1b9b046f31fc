// Asking the history. On the loop's own connection, which never waits for the writer's.
#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/store/history_internal.h"
#include "daemon/store/history_row.h"

#define ID_MAX ((1LL << 53) - 1)

char *history_output(const struct history *h, int64_t id, int stream) {
    char *path;
    return asprintf(&path, "%s/%lld.%d", h->writer.output, (long long)id, stream + 1) < 0 ? NULL : path;
}

// The thread looks all through a file that seems to be damaged, and moves it aside if it is.
static void note_code(struct history *h, int code) {
    struct history_writer *w = &h->writer;
    if (code != SQLITE_OK)
        h->unread = code;
    if (!history_file_is_damaged(code))
        return;
    pthread_mutex_lock(&w->lock);
    w->suspect = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void history_out_of_memory(struct history *h) {
    h->unread = SQLITE_NOMEM;
}

static double moment(double at) {
    return isfinite(at) && at > 0 && at < 1e15 ? at : 0;
}

// Of a stream whose numbers don't go together nothing is to be had but how long it was.
static void stream_mend(struct history_stream *s) {
    const int64_t most = INT64_MAX / 8, total = s->total < 0 || s->total > most ? 0 : s->total;
    bool is_sound = s->head_bytes >= 0 && s->head_bytes <= most && s->tail_bytes >= 0 &&
                    s->tail_bytes <= s->ring_bytes && s->ring_bytes <= most && s->total == total && s->stored >= 0 &&
                    s->stored <= total;
    if (is_sound)
        return;
    free(s->data);
    *s = (struct history_stream){.limit_bytes = -1, .total = total, .stored = total};
}

// What no disk should have given us: a row is a job that can be shown, whatever is in it.
static void job_mend(struct history_job *job) {
    double *const moments[] = {&job->created_at,
                               &job->started_at,
                               &job->ended_at,
                               &job->expires_at,
                               &job->outcome.end.usage.user,
                               &job->outcome.end.usage.system};
    for (size_t i = 0; i < ARRAY_SIZE(moments); i++)
        *moments[i] = moment(*moments[i]);
    if (job->created_at <= 0)
        job->created_at = 1e-6; // it always is some time
    struct leader_exit *end = &job->outcome.end;
    if (end->signal < 0 || end->signal > SIGRTMAX || end->exit_code > 255 || (end->exit_code < 0 && end->signal == 0))
        end->known = false;
    struct usage *u = &job->outcome.end.usage;
    int64_t *const unknown[] = {&u->read_bytes, &u->written_bytes, &u->peak_bytes, &job->outcome.cause.uid};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        *unknown[i] = MAX(*unknown[i], -1);
    int64_t *const counts[] = {&u->max_rss_bytes, &u->minor_faults, &u->major_faults, &u->voluntary_switches,
                               &u->involuntary_switches};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        *counts[i] = MAX(*counts[i], 0);
    for (size_t i = 0; i < job->outcome.survivor_count; i++)
        if (job->outcome.survivors[i] <= 0)
            job->outcome.survivor_count = i;
    job->attempt = MAX(job->attempt, 0);
    job->elapsed = isfinite(job->elapsed) && job->elapsed < 1e15 ? job->elapsed : -1;
    stream_mend(&job->streams[0]);
    stream_mend(&job->streams[1]);
    order_mend(&job->order);
}

// Of the row that the statement stands on.
static struct history_job *read_row(struct history *h, sqlite3_stmt *statement) {
    struct history_job *job = history_row_job(statement);
    if (job)
        job_mend(job);
    else
        history_out_of_memory(h);
    if (job && (job->id <= 0 || job->id > ID_MAX || history_is_forgotten(h, job->id))) {
        history_job_free(job);
        return NULL;
    }
    bool failed = false;
    for (int s = 0; job && s < 2; s++)
        if (job->streams[s].has_file)
            failed |= !(job->streams[s].path = history_output(h, job->id, s));
    if (!failed)
        return job;
    history_job_free(job);
    history_out_of_memory(h);
    return NULL;
}

static sqlite3_stmt *ask(struct history *h, const char *sql) {
    sqlite3_stmt *statement = NULL;
    h->unread = h->reader.db ? SQLITE_OK : SQLITE_CANTOPEN;
    if (h->reader.db)
        note_code(h, sqlite3_prepare_v2(h->reader.db, sql, -1, &statement, NULL));
    return statement; // NULL where that failed
}

struct history_job *history_find(struct history *h, int64_t id, int64_t owner) {
    struct history_file *f = &h->reader;
    h->unread = SQLITE_OK;
    // A page of a list asks it for each. The owner comes first, and stands before what may be large: another's is not read on.
    if (!f->find)
        f->find = ask(h, "SELECT " HISTORY_COLUMNS
                         " FROM job WHERE id = ?1 AND (?3 < 0 OR owner = ?3) AND final AND expires > ?2");
    sqlite3_bind_int64(f->find, 1, id);
    sqlite3_bind_double(f->find, 2, now_wall());
    sqlite3_bind_int64(f->find, 3, owner);
    struct history_job *job = f->find && sqlite3_step(f->find) == SQLITE_ROW ? read_row(h, f->find) : NULL;
    note_code(h, sqlite3_reset(f->find));
    return job;
}

static struct history_job *find_text(struct history *h, const char *sql, uid_t owner, const char *text) {
    sqlite3_stmt *s = ask(h, sql);
    sqlite3_bind_int64(s, 1, owner);
    sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
    sqlite3_bind_double(s, 3, now_wall());
    struct history_job *job = s && sqlite3_step(s) == SQLITE_ROW ? read_row(h, s) : NULL;
    note_code(h, sqlite3_finalize(s));
    return job;
}

struct history_job *history_find_name(struct history *h, uid_t owner, const char *name) {
    return find_text(h,
                     "SELECT " HISTORY_COLUMNS " FROM job WHERE owner = ? AND name = ? AND final AND expires > ?"
                     " ORDER BY id DESC LIMIT 1",
                     owner, name);
}

struct history_job *history_find_key(struct history *h, uid_t owner, const char *key) {
    return find_text(h,
                     "SELECT " HISTORY_COLUMNS " FROM job WHERE owner = ? AND key = ? AND final AND expires > ?"
                     " ORDER BY id LIMIT 1",
                     owner, key);
}

// Through the job's first label, in the order of ids (each label's jobs stand in it): each that has it is a row, so that each
// is counted. Whether it has the others as well, and is to be listed at all, is a second column.
static void list_by_labels(char *sql, size_t size, const struct history_filter *f) {
    int at = 7;
    int n = snprintf(sql, size, "SELECT l.job, CASE WHEN job.id IS NULL OR NOT final OR expires <= ?1%s THEN 0",
                     f->name ? " OR job.name IS NOT ?3" : "");
    for (char *const *l = f->labels + 2; *l && n < (int)size - 400; l += 2, at += 2)
        n += snprintf(
            sql + n, size - (size_t)n,
            " WHEN NOT EXISTS (SELECT 1 FROM label o WHERE o.owner = l.owner AND o.name = ?%d AND o.value = ?%d"
            " AND o.job = l.job) THEN 0",
            at, at + 1);
    snprintf(sql + n, size - (size_t)n,
             " ELSE 1 END FROM label l LEFT JOIN job ON job.id = l.job WHERE%s l.name = ?5 AND l.value = ?6"
             " AND l.job < ?4 ORDER BY l.job DESC",
             f->by_owner ? " l.owner = ?2 AND" : "");
}

static size_t label_count(const struct history_filter *f) {
    size_t count = 0;
    while (f->labels && f->labels[2 * count])
        count++;
    return count;
}

// From the newest on, so that a page costs what it holds.
static sqlite3_stmt *list_ask(struct history *h, const struct history_filter *f) {
    char sql[10240]; // for as many labels as a filter may have
    size_t labels = label_count(f);
    if (labels > 0)
        list_by_labels(sql, sizeof(sql), f);
    else
        snprintf(sql, sizeof(sql),
                 "SELECT id, 1 FROM job WHERE final AND expires > ?1%s%s AND id < ?4 ORDER BY id DESC",
                 f->by_owner ? " AND owner = ?2" : "", f->name ? " AND name = ?3" : "");
    sqlite3_stmt *s = ask(h, sql);
    sqlite3_bind_double(s, 1, now_wall());
    sqlite3_bind_int64(s, 2, f->owner);
    sqlite3_bind_text(s, 3, f->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, f->before > 0 ? f->before : INT64_MAX);
    for (size_t i = 0; i < 2 * labels; i++)
        sqlite3_bind_text(s, 5 + (int)i, f->labels[i], -1, SQLITE_STATIC);
    return s;
}

// Jobs that may be looked at: each takes a look at each of its labels.
static size_t list_looks(const struct history_filter *f) {
    size_t labels = label_count(f);
    return labels > 0 ? HISTORY_LOOKS / labels : SIZE_MAX;
}

size_t history_list(struct history *h, const struct history_filter *f, int64_t *ids, size_t max, int64_t *ret_end) {
    sqlite3_stmt *s = list_ask(h, f);
    size_t count = 0, looks = list_looks(f);
    *ret_end = 0;
    while (s && count < max && sqlite3_step(s) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(s, 0);
        if (sqlite3_column_int(s, 1) && !history_is_forgotten(h, id))
            ids[count++] = id;
        if (--looks == 0 && count < max) {
            *ret_end = id;
            break;
        }
    }
    note_code(h, sqlite3_finalize(s));
    return count;
}

const char *history_unread(const struct history *h) {
    return h->unread == SQLITE_OK ? NULL : sqlite3_errstr(h->unread);
}
