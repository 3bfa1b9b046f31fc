// Writing the history, a batch at a time.
#include "daemon/store/history_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "common/heap.h"
#include "common/util.h"
#include "daemon/store/retention.h"

#define GATHER 0.05 // seconds for a batch to gather
#define FLUSH 2.0   // after the first change that is not safe from a power loss
#define RETRY 1.0   // after a failure

void history_change_free(struct history_change *change) {
    if (change)
        history_job_free(change->job);
    free(change);
}

void history_change_append(struct history_change **first, struct history_change **last, struct history_change *change) {
    change->next = NULL;
    if (*first)
        (*last)->next = change;
    else
        *first = change;
    *last = change;
}

int history_writer_drop(struct history_writer *w, int64_t id) {
    uid_t owner;
    int r = history_file_drop(&w->file, id, &owner);
    if (r == SQLITE_OK)
        history_directory_drop(w->output, id, owner, &w->left);
    return r;
}

static int write_change(struct history_writer *w, struct history_change *change) {
    if (!change->job)
        return history_writer_drop(w, change->id);
    for (int stream = 0; stream < 2; stream++) {
        w->output_error = history_directory_take(w->output, change->job, stream);
        if (w->output_error < 0)
            return SQLITE_FULL;
    }
    return history_file_put(&w->file, change->job, !change->is_new);
}

static void tell_size(struct history_writer *w) {
    pthread_mutex_lock(&w->lock);
    w->count = w->file.count;
    w->bytes = w->file.bytes;
    pthread_mutex_unlock(&w->lock);
}

// One transaction. Those of retention are added to the list.
static int write_batch(struct history_writer *w, struct history_change **list, int64_t next_job, int64_t next_event) {
    struct history_change *first = NULL, *last = NULL;
    int r = sqlite3_exec(w->file.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (struct history_change *c = *list; c && r == SQLITE_OK; c = c->next)
        r = write_change(w, c);
    if (r == SQLITE_OK && next_job > 0)
        r = history_file_note(&w->file, "next_job", next_job);
    if (r == SQLITE_OK && next_event > 0)
        r = history_file_note(&w->file, "next_event", next_event);
    if (r == SQLITE_OK)
        r = retention(w, &first, &last);
    tell_size(w);
    if (r == SQLITE_OK)
        r = sqlite3_exec(w->file.db, "COMMIT", NULL, NULL, NULL);
    if (r != SQLITE_OK && w->file.db && !sqlite3_get_autocommit(w->file.db))
        sqlite3_exec(w->file.db, "ROLLBACK", NULL, NULL, NULL);
    if (r != SQLITE_OK && w->file.db)
        history_file_count(&w->file); // as they were
    for (struct history_change *c = r == SQLITE_OK ? NULL : first, *next; c; c = next) {
        next = c->next;
        history_change_free(c);
    }
    if (r == SQLITE_OK && first) {
        last->next = *list;
        *list = first;
    }
    return r;
}

// Closes the file and opens one of its name again. Returns an SQLite result code.
static int open_again(struct history_writer *w, bool aside) {
    history_file_close(&w->file);
    if (aside)
        history_directory_set_aside(w->directory, HISTORY_FILE);
    history_directory_make(w->directory, w->output); // where that fails, opening does
    int r = history_file_open(&w->file, w->path, true);
    if (r == SQLITE_OK)
        r = history_file_check(&w->file);
    w->uncounted = true;
    return r;
}

// A file that is damaged makes place for a new one; what was in it is in the one set aside. So does one that has lost its
// name: nobody would ever see what is written there.
static void recover(struct history_writer *w, int r) {
    bool gone = r == SQLITE_READONLY_DBMOVED, damaged = history_file_is_damaged(r);
    if (w->output_error < 0)
        snprintf(w->trouble, sizeof(w->trouble), "%.100s: %s", w->output, strerror(-w->output_error));
    else
        snprintf(w->trouble, sizeof(w->trouble), "%.100s: %s", w->path, gone ? "the file is gone" : sqlite3_errstr(r));
    w->output_error = 0;
    if (!gone && !damaged && w->file.db)
        return;
    if (history_file_is_damaged(open_again(w, damaged))) {
        damaged = true;
        open_again(w, true);
    }
    if (damaged)
        snprintf(w->anew, sizeof(w->anew), "%.200s is damaged: moved aside as %.40s.damaged-*", w->path, HISTORY_FILE);
    else if (gone)
        snprintf(w->anew, sizeof(w->anew), "%.200s is gone", w->path);
}

// Waits until something is to be done, at most so long; negative: for ever. Returns false when the time is over.
static bool wait_for(struct history_writer *w, double seconds) {
    if (seconds < 0)
        return pthread_cond_wait(&w->work, &w->lock) == 0;
    double until = now_mono() + seconds;
    const struct timespec at = {.tv_sec = (time_t)until, .tv_nsec = (long)((until - (double)(time_t)until) * 1e9)};
    return pthread_cond_timedwait(&w->work, &w->lock, &at) == 0;
}

static double next_expiry(struct history_writer *w) {
    sqlite3_stmt *statement = NULL;
    double left = -1;
    if (w->file.db &&
        sqlite3_prepare_v2(w->file.db, "SELECT min(expires) FROM job WHERE final", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        left = MAX(sqlite3_column_double(statement, 0) - now_wall(), 1.0);
    sqlite3_finalize(statement);
    return left;
}

static bool has_work(const struct history_writer *w) {
    return w->queue || w->next_job > 0 || w->next_event > 0 || w->suspect;
}

// What stands on the disk, whatever of it our own connection has in memory.
static int file_look(const struct history_writer *w) {
    struct history_file other;
    int r = history_file_open(&other, w->path, false);
    if (r == SQLITE_OK)
        r = history_file_check(&other);
    history_file_close(&other);
    return r;
}

static int file_count(struct history_writer *w) {
    int r = w->uncounted ? history_file_count(&w->file) : SQLITE_OK;
    if (w->uncounted && r == SQLITE_OK)
        tell_size(w);
    w->uncounted = r != SQLITE_OK;
    return r;
}

static int write_now(struct history_writer *w, struct history_change **list, int64_t next_job, int64_t next_event,
                     bool suspect) {
    if (!w->file.db)
        return SQLITE_CANTOPEN;
    if (!history_file_is_there(&w->file, w->path))
        return SQLITE_READONLY_DBMOVED;
    int r = suspect ? file_look(w) : SQLITE_OK;
    if (!history_file_is_damaged(r))
        r = file_count(w);
    if (r == SQLITE_OK)
        r = write_batch(w, list, next_job, next_event);
    if (r != SQLITE_OK || (next_job <= 0 && next_event <= 0))
        return r;
    w->noted_job = next_job > 0 ? next_job : w->noted_job;
    w->noted_event = next_event > 0 ? next_event : w->noted_event;
    history_directory_note(w->directory, w->noted_job, w->noted_event);
    w->urgent = true;
    return r;
}

// The lock is held; it is let go while the file is written.
static void write_queue(struct history_writer *w) {
    struct history_change *list = TAKE_PTR(w->queue);
    int64_t next_job = w->next_job, next_event = w->next_event;
    HASH_CLEAR(waiting, w->by_id);
    w->queue_end = NULL;
    w->next_job = w->next_event = 0;
    bool suspect = w->suspect;
    w->suspect = false;
    w->writing = true;
    if (w->has_limits)
        w->limits = w->next_limits;
    w->has_limits = false;
    pthread_mutex_unlock(&w->lock);
    int r = write_now(w, &list, next_job, next_event, suspect);
    pthread_mutex_lock(&w->lock);
    w->writing = false;
    while (list) {
        struct history_change *change = list, *newer;
        list = change->next;
        HASH_FIND(waiting, w->by_id, &change->id, sizeof(change->id), newer);
        bool is_void = !change->job && change->is_new; // there never was anything of it
        if (newer && r != SQLITE_OK)
            newer->is_new = change->is_new;
        if (r == SQLITE_OK || is_void)
            history_change_append(&w->over, &w->over_end, change);
        else if (newer) // it is out of date
            w->queued--, history_change_free(change);
        else {
            history_change_append(&w->queue, &w->queue_end, change);
            HASH_ADD(waiting, w->by_id, id, sizeof(change->id), change);
        }
    }
    if (!w->dirty)
        w->dirty_at = now_mono();
    w->dirty = true;
    if (r == SQLITE_OK && !w->flush_failed) {
        w->trouble[0] = 0;
    } else if (r != SQLITE_OK) {
        w->next_job = MAX(w->next_job, next_job);
        w->next_event = MAX(w->next_event, next_event);
        recover(w, r);
    }
    ev_async_send(w->loop, &w->done);
}

// The kernel's part of it. Returns 0 or a negative errno.
static int sync_directory(const struct history_writer *w) {
    int r = history_directory_make(w->directory, w->output);
    _cleanup_close_ int fd = r == 0 ? open(w->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : r;
    return r < 0 ? r : fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

// From here on nothing of what was written is lost with the power.
static void flush(struct history_writer *w) {
    pthread_mutex_unlock(&w->lock);
    int r = sync_directory(w), written = SQLITE_OK;
    if (w->file.db)
        written = sqlite3_wal_checkpoint_v2(w->file.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (w->file.db && !history_file_is_there(&w->file, w->path))
        written = SQLITE_READONLY_DBMOVED;
    pthread_mutex_lock(&w->lock);
    w->urgent = false;
    w->dirty_at = now_mono();
    bool failed = r < 0 || (written != SQLITE_OK && written != SQLITE_BUSY), told = failed || w->flush_failed;
    if (failed && written != SQLITE_OK)
        recover(w, written);
    else if (failed)
        snprintf(w->trouble, sizeof(w->trouble), "%.100s: %s", w->output, strerror(-r));
    else if (w->flush_failed)
        w->trouble[0] = 0;
    w->dirty = failed;
    w->flush_failed = failed;
    if (told)
        ev_async_send(w->loop, &w->done);
}

// What takes as long as the file is large: others are served meanwhile.
static void begin(struct history_writer *w) {
    if (!w->file.db)
        return;
    int r = w->unchecked ? history_file_check(&w->file) : SQLITE_OK;
    if (r == SQLITE_OK)
        r = file_count(w);
    if (r == SQLITE_OK) {
        history_directory_sweep(w->directory, w->output, w->file.db);
        return;
    }
    pthread_mutex_lock(&w->lock);
    recover(w, r);
    ev_async_send(w->loop, &w->done);
    pthread_mutex_unlock(&w->lock);
}

// The lock is let go meanwhile. Returns whether there was anything to it.
static bool rest(struct history_writer *w) {
    if (!w->resting)
        return false;
    w->resting = false;
    pthread_mutex_unlock(&w->lock);
    history_left_look(&w->left, w->output);
    history_file_rest(&w->file);
    heap_rest();
    pthread_mutex_lock(&w->lock);
    return true;
}

static void *thread_main(void *data) {
    struct history_writer *w = data;
    history_left_adopt(&w->left, w->output);
    begin(w);
    pthread_mutex_lock(&w->lock);
    double expiry = next_expiry(w);
    while (!w->leaving) {
        double due = w->urgent ? 0 : w->dirty_at + FLUSH - now_mono(); // also where there is always something to write
        if (w->dirty && due <= 0) {
            flush(w);
            expiry = next_expiry(w);
            continue;
        }
        if (!has_work(w)) {
            if (rest(w) || wait_for(w, w->dirty ? due : expiry) || w->dirty)
                continue;
        } else {
            wait_for(w, w->trouble[0] ? RETRY : GATHER);
        }
        write_queue(w);
        expiry = next_expiry(w);
    }
    if (has_work(w))
        write_queue(w);
    flush(w);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int history_writer_start(struct history_writer *w, struct ev_loop *loop,
                         void (*done)(struct ev_loop *, struct ev_async *, int), void *data) {
    pthread_condattr_t attr;
    sigset_t all, before;
    w->loop = loop;
    w->urgent = true; // the first numbers of this run
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &attr);
    pthread_condattr_destroy(&attr);
    ev_async_init(&w->done, done);
    w->done.data = data;
    ev_async_start(loop, &w->done);
    ev_unref(loop);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->has_thread = r == 0;
    return r;
}

void history_writer_rest(struct history_writer *w) {
    pthread_mutex_lock(&w->lock);
    w->resting = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void history_writer_stop(struct history_writer *w) {
    if (!w->has_thread)
        return;
    pthread_mutex_lock(&w->lock);
    w->leaving = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
    ev_ref(w->loop);
    ev_async_stop(w->loop, &w->done);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
}

void history_writer_add(struct history_writer *w, struct history_change *change) {
    struct history_change *older;
    pthread_mutex_lock(&w->lock);
    HASH_FIND(waiting, w->by_id, &change->id, sizeof(change->id), older);
    if (older) { // in its place
        history_job_free(older->job);
        older->job = TAKE_PTR(change->job);
        pthread_mutex_unlock(&w->lock);
        history_change_free(change);
        return;
    }
    bool was_empty = !w->queue;
    history_change_append(&w->queue, &w->queue_end, change);
    HASH_ADD(waiting, w->by_id, id, sizeof(change->id), change);
    w->queued++;
    pthread_mutex_unlock(&w->lock);
    if (was_empty)
        pthread_cond_signal(&w->work);
}
