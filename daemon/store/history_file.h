// history_file: the database itself: its schema, and what is done with it. For history.c.
#pragma once

#include <sqlite3.h>

#include "daemon/store/history.h"
#include "daemon/store/holders.h"

struct history_file {
    sqlite3 *db;
    sqlite3_stmt *put, *drop, *drop_labels, *label, *size, *note; // of one that writes
    sqlite3_stmt *find;                                           // of one that reads
    dev_t dev;                                                    // which file it is
    ino_t ino;
    int64_t count, bytes;   // of final jobs, and what they take
    struct holders holders; // and whose they are
};

// Opens, makes or migrates it; what it holds is not counted yet. Returns an SQLite result code.
int history_file_open(struct history_file *file, const char *path, bool writes);
void history_file_close(struct history_file *file);
void history_file_rest(struct history_file *file); // gives back what it has cached, and `find`
// Looks all through it, which takes as long as it is large. Returns an SQLite result code.
int history_file_check(struct history_file *file);
// Counts what is there, as after a transaction that came to nothing. Returns an SQLite result code.
int history_file_count(struct history_file *file);
bool history_file_is_damaged(int code); // says a result code
// Whether its name still leads to it: what is written to a file without a name is nobody's.
bool history_file_is_there(const struct history_file *file, const char *path);

// Each returns an SQLite result code.
int history_file_put(struct history_file *file, const struct history_job *job, bool replaces);
int history_file_drop(struct history_file *file, int64_t id, uid_t *ret_owner); // whose it was: root's, if nobody's
int history_file_note(struct history_file *file, const char *name, int64_t value);
int64_t history_file_noted(struct history_file *file, const char *name, int64_t fallback);
