// history_directory: what stands beside the database: larger outputs, the numbers that were given, damaged files that were
// moved aside. For history.c and its thread.
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "daemon/store/history.h"
#include "daemon/store/lingering.h"

// Makes it, and the one for outputs. Returns 0 or a negative errno.
int history_directory_make(const char *directory, const char *outputs);

// The database and what belongs to it get other names, FILE.damaged-TIME; of those the last few are kept.
void history_directory_set_aside(const char *directory, const char *file);

// Numbers that were never given, from the file that survives a damaged database; unchanged where it says less.
void history_directory_numbers(const char *directory, int64_t *next_job, int64_t *next_event);
void history_directory_note(const char *directory, int64_t next_job, int64_t next_event);

// Outputs of jobs that the database does not know go, as a death in the middle leaves them; all stay as long as there is
// a damaged one, which may know them.
void history_directory_sweep(const char *directory, const char *outputs, sqlite3 *db);

// Copies an output that has a file of its own, and says so in the job. Returns 0 or a negative errno.
int history_directory_take(const char *outputs, struct history_job *job, int stream);

// Outputs whose jobs have gone, and that others have open: they stay on their owner's account, where such are counted, until
// nobody has.
struct history_left {
    struct lingering files;
    struct owners *owners; // owned, as are the files
};
int history_left_init(struct history_left *left); // 0 or -ENOMEM
void history_left_done(struct history_left *left);
void history_left_adopt(struct history_left *left, const char *outputs); // what the process before us has left
void history_left_look(struct history_left *left,
                       const char *outputs); // whether they still have them open: some at a time
// The outputs of a job go, or are left.
void history_directory_drop(const char *outputs, int64_t id, uid_t owner, struct history_left *left);
