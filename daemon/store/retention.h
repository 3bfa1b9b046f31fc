// retention: final jobs that are to leave the history: whose time is over, or who are too many. For history_writer.
#pragma once

#include "daemon/store/history_writer.h"

// Drops some of them from the file, within the transaction that is open, and puts their changes at the end of the list:
// those whose time is over, then the oldest of those who have more than a user's share, then, where all of them are too many,
// of whoever has most.
// Returns an SQLite result code.
int retention(struct history_writer *writer, struct history_change **first, struct history_change **last);
