// history: jobs and how they ended, in an SQLite file of the state directory, for as long as they are to be kept.
//
// What is put goes to a thread that writes it, many at a time in one transaction (WAL: the loop reads meanwhile, by a
// connection of its own). A commit survives the death of the process; what power loss takes is at most what came after
// the last checkpoint, which the thread makes FLUSH seconds after the first change. Whoever puts a job keeps it in
// memory until `committed`: nothing depends on the thread's being quick, or on there being room on the disk.
//
// All functions on the loop's thread; callbacks from the loop.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/outcome.h"
#include "daemon/store/order.h"

enum { HISTORY_INLINE = 16384 }; // output up to this size stands in the database, more in a file of its own

struct history_stream {
    int64_t head_bytes, tail_bytes, ring_bytes, limit_bytes, total, stored;
    char *data;    // owned: what is kept, as it stands in the log's file. NULL: nothing, or a file
    size_t size;   // of it, or of the file
    char *path;    // owned: of the log's file, to be copied; of one that was read: where it stands now
    bool has_file; // in the store
};

// A job as it is kept. Strings are owned.
struct history_job {
    int64_t id;
    uid_t owner;
    char *name, *key; // or NULL
    char *spec;       // JSON, without what must not linger
    char **labels;    // names and values in turn, NULL at the end
    pid_t pid;
    int attempt;
    double created_at, started_at, ended_at, elapsed, expires_at;
    bool is_final, is_new;  // is_new: it is put for the first time
    struct outcome outcome; // owned
    struct history_stream streams[2];
    struct order order; // owned: in which they were read
};
void history_job_free(struct history_job *job); // NULL is allowed

struct history;

struct history_listener {
    // The job as it was put last is in the file.
    void (*committed)(int64_t id, bool is_final, void *data);
    // Retention has dropped a job that was in the file.
    void (*dropped)(int64_t id, uid_t owner, void *data);
    // Writing fails, or works again (`why` NULL). What was put waits, and is tried again.
    void (*troubled)(const char *why, void *data);
    // Another file was begun, which is empty: what memory has is to be put again.
    void (*begun)(const char *why, void *data);
};

// How many final jobs it keeps, and how much they and their output may take. The oldest go first: of a user who has more
// than an owner's share (root and `exempt` have none), then of whoever has most.
struct history_limits {
    int64_t jobs, bytes, owner_jobs, owner_bytes;
    uid_t exempt;
};

struct history_parts {
    struct ev_loop *loop;
    const char *directory; // made if need be
    struct history_limits limits;
    // Live jobs of the file that are none: they were lost with the daemon that ran them. The others are gone on with.
    bool (*is_live)(int64_t id, void *data);
    void *live_data;
    bool resumed; // numbers are known already: a file that can't be opened now may be opened later
    const struct history_listener *listener;
    void *data;
};

// Opens the file; a damaged one is moved aside (`ret_note` says so, the caller's; else NULL). `next_job`, `next_event`:
// numbers that were never given, also where it fails; if resumed the caller's. Returns 0 or a negative errno with *ret_note
// saying why.
int history_open(const struct history_parts *parts, struct history **ret_history, int64_t *next_job,
                 int64_t *next_event, char **ret_note);
// Writes what waits, as far as that works now, and closes. NULL is allowed.
void history_close(struct history *history);
// Job ids and event numbers up to there are given: noted ahead, so that they are not given again after a power loss.
void history_reserve(struct history *history, int64_t next_job, int64_t next_event);

void history_set_limits(struct history *history, const struct history_limits *limits);
// As they are at an end in order: nothing is skipped.
void history_settle(struct history *history, int64_t next_job, int64_t next_event);

// Takes the job over. A newer one of the same id takes the place of one that waits.
void history_put(struct history *history, struct history_job *job);
// As if it were not there from now on.
void history_forget(struct history *history, int64_t id);
const char *history_trouble(const struct history *history); // why it can't be written, or NULL
size_t history_waiting(const struct history *history);
bool history_is_safe(const struct history *history);  // from a loss of power: all that was put
void history_rest(struct history *history);           // gives memory back, its thread soon. NULL is allowed
int64_t history_count(const struct history *history); // of final jobs in the file
int64_t history_bytes(const struct history *history); // what they take of the disk

char *history_output(const struct history *history, int64_t id, int stream); // where a larger one stands: the caller's

// Reading: final jobs that are in the file and not forgotten. NULL: none such, if history_unread says nothing.
enum { HISTORY_ANYBODY = -1 }; // as whose job is asked for
struct history_job *history_find(struct history *history, int64_t id, int64_t owner);
struct history_job *history_find_name(struct history *history, uid_t owner, const char *name);
struct history_job *history_find_key(struct history *history, uid_t owner, const char *key);

struct history_filter {
    bool by_owner;
    uid_t owner;
    const char *name;    // or NULL
    char *const *labels; // names and values in turn, NULL at the end; or NULL
    int64_t before;      // ids below it; 0: all
};
enum { HISTORY_LOOKS = 8192 }; // at labels of the asker's jobs, for one list: some 20 ms
// The ids of up to `max` jobs, newest first. Returns how many; where history_unread says something there may be more.
// *ret_end: the oldest one that was looked at, where there was no time for all; else 0.
size_t history_list(struct history *history, const struct history_filter *filter, int64_t *ids, size_t max,
                    int64_t *ret_end);
const char *history_unread(const struct history *history); // why the last of these was not answered, or NULL
void history_out_of_memory(struct history *history);       // whoever asked can't take the answer
