// history_writer: the thread that writes the history. For history.c.
#pragma once

#include <ev.h>
#include <pthread.h>
#include <uthash.h>

#include "daemon/store/history_directory.h"
#include "daemon/store/history_file.h"

#define HISTORY_FILE "history.db"

// A change, from the loop to the thread and back.
struct history_change {
    int64_t id;
    struct history_job *job; // owned: to be put; NULL: to be dropped
    bool is_new;             // nothing of it is in the file, nor on its way there
    bool dropped;            // by retention, on its own account
    uid_t owner;
    struct history_change *next;
    UT_hash_handle waiting; // by id, while it waits
};

struct history_writer {
    char *directory;          // owned, as are these
    char *path, *output;      // the file, and the directory of larger outputs
    struct history_file file; // the thread's, as is this
    struct history_left left;
    struct history_limits limits;
    pthread_t thread;
    bool has_thread;
    struct ev_loop *loop;
    struct ev_async done;
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct history_change *queue, *queue_end, *by_id; // what waits; its hash
    struct history_change *over, *over_end;           // what is in the file now
    size_t queued;
    int64_t next_job, next_event; // to be noted; 0: no news
    bool suspect;                 // what was read of the file was damaged
    int64_t count, bytes;
    struct history_limits next_limits; // from the next batch on
    bool has_limits;
    char trouble[160]; // "": none
    char anew[300];    // "", or why another file was begun
    bool writing;
    bool dirty;   // something of the file is not safe from a loss of power
    bool resting; // it is to give memory back
    bool leaving;
    // The thread's:
    bool unchecked;                 // the file was not looked through
    bool uncounted;                 // nor counted
    double dirty_at;                // since when
    int output_error;               // of the change that failed: that of its output; else 0
    bool urgent;                    // numbers ahead are to be safe before they are given
    bool flush_failed;              // trouble is that
    int64_t noted_job, noted_event; // as they were noted last
};

int history_writer_start(struct history_writer *writer, struct ev_loop *loop,
                         void (*done)(struct ev_loop *, struct ev_async *, int), void *data);
void history_writer_rest(struct history_writer *writer);
void history_writer_stop(struct history_writer *writer); // writes what waits first, if that works
// Takes the change over; one for the same job that waits gives way.
void history_writer_add(struct history_writer *writer, struct history_change *change);
void history_change_free(struct history_change *change);
void history_change_append(struct history_change **first, struct history_change **last, struct history_change *change);
// On the thread: the job and its outputs leave the file. Returns an SQLite result code.
int history_writer_drop(struct history_writer *writer, int64_t id);
