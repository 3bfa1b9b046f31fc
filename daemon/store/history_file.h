// history_file: the database itself: its schema, and jobs to rows and back. For history.c.
#pragma once

#include <sqlite3.h>

#include "daemon/store/history.h"
#include "daemon/store/holders.h"

struct history_file {
    sqlite3 *db;
    sqlite3_stmt *put, *drop, *drop_labels, *label, *size, *note;
    int64_t count, bytes;   // of final jobs, and what they take
    struct holders holders; // and whose they are
};

// Opens, makes or migrates it. Returns an SQLite result code.
int history_file_open(struct history_file *file, const char *path, bool writes);
void history_file_close(struct history_file *file);
// Counts what is there, as after a transaction that came to nothing. Returns an SQLite result code.
int history_file_count(struct history_file *file);
bool history_file_is_damaged(int code); // says a result code

// Each returns an SQLite result code.
int history_file_put(struct history_file *file, const struct history_job *job, bool replaces);
int history_file_drop(struct history_file *file, int64_t id);
int history_file_note(struct history_file *file, const char *name, int64_t value);
int64_t history_file_noted(struct history_file *file, const char *name, int64_t fallback);

// The job of a row of HISTORY_COLUMNS. NULL when memory is out.
struct history_job *history_file_job(sqlite3_stmt *row);
#define HISTORY_COLUMNS                                                                                              \
    "id, owner, name, key, spec, final, pid, attempt, created, started, ended, elapsed, expires, reason, cause, "    \
    "killer, killer_uid, known, exit_code, signal, core_dumped, user, system, max_rss, minor_faults, major_faults, " \
    "voluntary, involuntary, stage, errno, survivors, survivors_unknown, incomplete, "                               \
    "out_head, out_tail, out_ring, out_limit, out_total, out_stored, out_data, out_file, "                           \
    "err_head, err_tail, err_ring, err_limit, err_total, err_stored, err_data, err_file, bytes, runs, runs_full"
enum { HISTORY_COLUMN_COUNT = 52 };
