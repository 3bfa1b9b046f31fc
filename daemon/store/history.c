// The history as the loop sees it.
#include "daemon/store/history.h"

#include <stdio.h>

#include "common/util.h"
#include "daemon/store/history_directory.h"
#include "daemon/store/history_internal.h"

enum { JOBS_AHEAD = 5000, EVENTS_AHEAD = 20000, OPEN_AGAIN = 2 };

static void stream_free(struct history_stream *s) {
    free(s->data);
    free(s->path);
}

void history_job_free(struct history_job *job) {
    if (!job)
        return;
    free(job->name);
    free(job->key);
    free(job->spec);
    for (char **label = job->labels; label && *label; label++)
        free(*label);
    free(job->labels);
    outcome_done(&job->outcome);
    order_done(&job->order);
    stream_free(&job->streams[0]);
    stream_free(&job->streams[1]);
    free(job);
}

static void forgotten_remove(struct history *h, int64_t id) {
    struct forgotten *f;
    HASH_FIND(hh, h->forgotten, &id, sizeof(id), f);
    if (!f)
        return;
    HASH_DEL(h->forgotten, f);
    free(f);
}

bool history_is_forgotten(const struct history *h, int64_t id) {
    struct forgotten *f;
    HASH_FIND(hh, h->forgotten, &id, sizeof(id), f);
    return f != NULL;
}

static void tell_over(struct history *h, struct history_change *change) {
    const struct history_listener *listener = h->parts.listener;
    if (change->dropped && !history_is_forgotten(h, change->id))
        listener->dropped(change->id, change->owner, h->parts.data);
    else if (change->job && !change->dropped)
        listener->committed(change->id, change->job->is_final, h->parts.data);
    else if (!change->dropped)
        forgotten_remove(h, change->id);
    history_change_free(change);
}

static void on_done(struct ev_loop *loop, struct ev_async *async, int events) {
    struct history *h = async->data;
    struct history_writer *w = &h->writer;
    pthread_mutex_lock(&w->lock);
    struct history_change *over = TAKE_PTR(w->over);
    char anew[sizeof(w->anew)];
    memcpy(anew, w->anew, sizeof(anew));
    w->anew[0] = 0;
    memcpy(h->trouble, w->trouble, sizeof(h->trouble));
    if (anew[0]) { // the file that noted them is not this one
        w->next_job = MAX(w->next_job, h->reserved_job);
        w->next_event = MAX(w->next_event, h->reserved_event);
    }
    for (struct history_change *c = over; c; c = c->next)
        w->queued -= !c->dropped;
    pthread_mutex_unlock(&w->lock);
    if (anew[0] || !h->reader.db) {
        history_file_close(&h->reader);
        history_file_open(&h->reader, w->path, false);
    }
    bool troubled = h->trouble[0] != 0;
    if (troubled != h->was_troubled)
        h->parts.listener->troubled(troubled ? h->trouble : NULL, h->parts.data);
    h->was_troubled = troubled;
    while (over) {
        struct history_change *change = over;
        over = change->next;
        tell_over(h, change);
    }
    if (anew[0])
        h->parts.listener->begun(anew, h->parts.data);
}

// Live jobs that nobody runs are lost. Their ends are not known, and so neither is when.
static int lose_jobs(struct history *h) {
    sqlite3 *db = h->writer.file.db;
    sqlite3_stmt *live = NULL, *lose = NULL;
    double now = now_wall();
    int r = sqlite3_prepare_v2(db, "SELECT id FROM job WHERE NOT final", -1, &live, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_prepare_v2(db,
                               "UPDATE job SET final = 1, reason = ?, cause = -1, known = 0, survivors_unknown = 1,"
                               " ended = ?, expires = expires + ? WHERE id = ?",
                               -1, &lose, NULL);
    while (r == SQLITE_OK && (r = sqlite3_step(live)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(live, 0);
        r = SQLITE_OK;
        if (h->parts.is_live(id, h->parts.live_data))
            continue;
        sqlite3_bind_int(lose, 1, REASON_LOST);
        sqlite3_bind_double(lose, 2, now);
        sqlite3_bind_double(lose, 3, now);
        sqlite3_bind_int64(lose, 4, id);
        r = sqlite3_step(lose) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
        sqlite3_reset(lose);
    }
    sqlite3_finalize(live);
    sqlite3_finalize(lose);
    return r == SQLITE_DONE ? SQLITE_OK : r;
}

static void numbers_note(struct history_writer *w, int64_t next_job, int64_t next_event) {
    w->noted_job = next_job + JOBS_AHEAD;
    w->noted_event = next_event + EVENTS_AHEAD;
    history_directory_note(w->directory, w->noted_job, w->noted_event);
}

// A first statement that writes finds out whether that is possible at all.
static int prepare_file(struct history *h, int64_t *next_job, int64_t *next_event) {
    struct history_writer *w = &h->writer;
    int r = history_file_open(&w->file, w->path, true);
    if (r != SQLITE_OK)
        return r;
    if (!h->parts.resumed) {
        *next_job = history_file_noted(&w->file, "next_job", 1);
        *next_event = history_file_noted(&w->file, "next_event", 1);
        history_directory_numbers(w->directory, next_job, next_event);
    }
    r = sqlite3_exec(w->file.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = lose_jobs(h);
    if (r == SQLITE_OK)
        r = history_file_note(&w->file, "next_job", *next_job + JOBS_AHEAD);
    if (r == SQLITE_OK)
        r = history_file_note(&w->file, "next_event", *next_event + EVENTS_AHEAD);
    int ended = sqlite3_exec(w->file.db, r == SQLITE_OK ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    r = r == SQLITE_OK ? ended : r;
    if (r == SQLITE_OK)
        numbers_note(w, *next_job, *next_event);
    return r;
}

static int open_files(struct history *h, int64_t *next_job, int64_t *next_event, char **ret_note) {
    struct history_writer *w = &h->writer;
    int r = prepare_file(h, next_job, next_event);
    for (int again = 0; again < OPEN_AGAIN && r != SQLITE_OK && r != SQLITE_MISMATCH && !history_file_is_damaged(r);
         again++) {
        history_file_close(&w->file); // what failed may have been that once
        r = prepare_file(h, next_job, next_event);
    }
    if (history_file_is_damaged(r)) {
        history_file_close(&w->file);
        history_directory_set_aside(w->directory, HISTORY_FILE);
        if (asprintf(ret_note, "%s is damaged: moved aside as %s.damaged-*; the history begins anew", w->path,
                     w->path) < 0)
            *ret_note = NULL;
        r = prepare_file(h, next_job, next_event);
    }
    if (r == SQLITE_OK)
        r = history_file_open(&h->reader, w->path, false);
    for (int again = 0; again < OPEN_AGAIN && w->file.db && !h->reader.db; again++)
        r = history_file_open(&h->reader, w->path, false);
    if (r == SQLITE_OK)
        return 0;
    // One that can be read, or whose numbers are known, is written once that is possible.
    if (r != SQLITE_MISMATCH && (w->file.db || h->parts.resumed)) {
        snprintf(w->trouble, sizeof(w->trouble), "%s: %s", w->path, sqlite3_errstr(r));
        memcpy(h->trouble, w->trouble, sizeof(h->trouble));
        h->was_troubled = true;
        numbers_note(w, *next_job, *next_event);
        if (!h->reader.db && w->file.db)
            history_file_open(&h->reader, w->path, false);
        free(*ret_note);
        *ret_note = strdup(w->trouble);
        return 0;
    }
    // Without it, but not with numbers that it may know.
    if (!h->parts.resumed)
        history_directory_numbers(w->directory, next_job, next_event);
    numbers_note(w, *next_job, *next_event);
    free(*ret_note);
    if (asprintf(ret_note, "%s: %s", w->path, sqlite3_errstr(r)) < 0)
        *ret_note = NULL;
    return -EIO;
}

int history_open(const struct history_parts *parts, struct history **ret_history, int64_t *next_job,
                 int64_t *next_event, char **ret_note) {
    struct history *h = calloc(1, sizeof(*h));
    *ret_note = NULL;
    if (!h)
        return -ENOMEM;
    h->parts = *parts;
    struct history_writer *w = &h->writer;
    w->limits = parts->limits;
    int r = -ENOMEM;
    w->directory = strdup(parts->directory);
    if (w->directory && asprintf(&w->path, "%s/" HISTORY_FILE, parts->directory) >= 0 &&
        asprintf(&w->output, "%s/output", parts->directory) >= 0)
        r = 0;
    if (r == 0)
        r = history_left_init(&w->left);
    int made = r == 0 ? history_directory_make(w->directory, w->output) : r;
    if (r == 0)
        r = open_files(h, next_job, next_event, ret_note);
    if (r < 0 && made < 0) { // which says more
        free(*ret_note);
        if (asprintf(ret_note, "%s: %s", parts->directory, strerror(-made)) < 0)
            *ret_note = NULL;
    }
    w->uncounted = true;
    w->unchecked = !parts->resumed; // the worker before us had it open: dying damages no file
    if (r == 0)
        r = history_writer_start(w, parts->loop, on_done, h);
    if (r < 0) {
        history_close(h);
        return r;
    }
    h->reserved_job = *next_job + JOBS_AHEAD;
    h->reserved_event = *next_event + EVENTS_AHEAD;
    *ret_history = h;
    return 0;
}

static void changes_free(struct history_change *list) {
    while (list) {
        struct history_change *change = list;
        list = change->next;
        history_change_free(change);
    }
}

void history_close(struct history *h) {
    if (!h)
        return;
    struct history_writer *w = &h->writer;
    history_writer_stop(w);
    history_file_close(&h->reader);
    history_file_close(&w->file);
    history_left_done(&w->left);
    HASH_CLEAR(waiting, w->by_id);
    changes_free(w->queue);
    changes_free(w->over);
    struct forgotten *f, *next;
    HASH_ITER(hh, h->forgotten, f, next) {
        HASH_DEL(h->forgotten, f);
        free(f);
    }
    free(w->directory);
    free(w->path);
    free(w->output);
    free(h);
}

void history_reserve(struct history *h, int64_t next_job, int64_t next_event) {
    struct history_writer *w = &h->writer;
    bool jobs = next_job + JOBS_AHEAD / 2 > h->reserved_job;
    bool event = next_event + EVENTS_AHEAD / 2 > h->reserved_event;
    if (!jobs && !event)
        return;
    pthread_mutex_lock(&w->lock);
    if (jobs)
        w->next_job = h->reserved_job = next_job + JOBS_AHEAD;
    if (event)
        w->next_event = h->reserved_event = next_event + EVENTS_AHEAD;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void history_set_limits(struct history *h, const struct history_limits *limits) {
    struct history_writer *w = &h->writer;
    pthread_mutex_lock(&w->lock);
    w->next_limits = *limits;
    w->has_limits = true;
    w->next_job = MAX(w->next_job, h->reserved_job); // something to write, so that they are looked at
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void history_settle(struct history *h, int64_t next_job, int64_t next_event) {
    struct history_writer *w = &h->writer;
    pthread_mutex_lock(&w->lock);
    w->next_job = next_job;
    w->next_event = next_event;
    pthread_mutex_unlock(&w->lock);
}

void history_put(struct history *h, struct history_job *job) {
    struct history_change *change = calloc(1, sizeof(*change));
    if (!change) {
        history_job_free(job); // it is put again with its next change, or by the next worker
        return;
    }
    change->id = job->id;
    change->job = job;
    change->is_new = job->is_new;
    history_writer_add(&h->writer, change);
}

void history_forget(struct history *h, int64_t id) {
    struct history_change *change = calloc(1, sizeof(*change));
    struct forgotten *f = calloc(1, sizeof(*f));
    if (!change || !f || history_is_forgotten(h, id)) {
        free(change);
        free(f);
        return;
    }
    f->id = change->id = id;
    HASH_ADD(hh, h->forgotten, id, sizeof(f->id), f);
    if (!f->hh.tbl) // no memory: it is found until it is dropped
        free(f);
    history_writer_add(&h->writer, change);
}

const char *history_trouble(const struct history *h) {
    return h->trouble[0] ? h->trouble : NULL;
}

static int64_t locked(const struct history *h, const int64_t *value) {
    struct history_writer *w = &((struct history *)(uintptr_t)h)->writer;
    pthread_mutex_lock(&w->lock);
    int64_t now = *value;
    pthread_mutex_unlock(&w->lock);
    return now;
}

size_t history_waiting(const struct history *h) {
    struct history_writer *w = &((struct history *)(uintptr_t)h)->writer;
    pthread_mutex_lock(&w->lock);
    size_t queued = w->queued;
    pthread_mutex_unlock(&w->lock);
    return queued;
}

bool history_is_safe(const struct history *h) {
    struct history_writer *w = &((struct history *)(uintptr_t)h)->writer;
    pthread_mutex_lock(&w->lock);
    bool safe = w->queued == 0 && !w->dirty && !w->writing && w->next_job == 0 && w->next_event == 0;
    pthread_mutex_unlock(&w->lock);
    return safe;
}

void history_rest(struct history *h) {
    if (!h)
        return;
    history_file_rest(&h->reader);
    history_writer_rest(&h->writer);
}

int64_t history_count(const struct history *h) {
    return locked(h, &h->writer.count);
}

int64_t history_bytes(const struct history *h) {
    return locked(h, &h->writer.bytes);
}
