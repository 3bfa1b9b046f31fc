// archiving: jobs into the history, and back.
#pragma once

#include "daemon/runner/run.h"
#include "daemon/store/history.h"

// Puts the job as it is now. Nothing without a history.
void run_archive(struct run *run);
// The same in a moment, unless it ends before.
void run_archive_later(struct run *run);
void run_archive_cancel(struct run *run);
// It stands in the history: memory need not hold on to all of it.
void run_archived(struct run *run);
// The history no longer has it, or shall not.
void run_unarchive(struct run *run);
// A final job leaves memory; the history has it. False: it does not have it yet.
bool run_leave(struct run *run);
// Final jobs beyond what memory holds leave it, the oldest first.
void run_cache_trim(struct runner *runner);
