// history_row: jobs to rows of the database and back. For history_file.c and history_read.c.
#pragma once

#include <sqlite3.h>

#include "daemon/store/history.h"

// Binds the values of HISTORY_COLUMNS; `ret_bytes`: what the job takes. Returns an SQLite result code.
int history_row_bind(sqlite3_stmt *statement, const struct history_job *job, int64_t *ret_bytes);
// The job of a row of HISTORY_COLUMNS. NULL when memory is out.
struct history_job *history_row_job(sqlite3_stmt *row);
#define HISTORY_COLUMNS                                                                                              \
    "id, owner, name, key, spec, final, pid, attempt, created, started, ended, elapsed, expires, reason, cause, "    \
    "killer, killer_uid, known, exit_code, signal, core_dumped, user, system, max_rss, minor_faults, major_faults, " \
    "voluntary, involuntary, stage, errno, survivors, survivors_unknown, incomplete, "                               \
    "out_head, out_tail, out_ring, out_limit, out_total, out_stored, out_data, out_file, "                           \
    "err_head, err_tail, err_ring, err_limit, err_total, err_stored, err_data, err_file, bytes, runs, runs_full, "   \
    "usage_from, read_bytes, written_bytes, peak_bytes"
enum { HISTORY_COLUMN_COUNT = 56 };
