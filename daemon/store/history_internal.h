// history_internal: what history.c, which writes, and history_read.c share.
#pragma once

#include "daemon/store/history_writer.h"

struct forgotten {
    int64_t id;
    UT_hash_handle hh;
};

struct history {
    struct history_parts parts;
    struct history_writer writer;
    struct history_file reader;
    struct forgotten *forgotten; // hash: still in the file, but not to be found
    int64_t reserved_job, reserved_event;
    bool was_troubled;
    int unread; // result code of the last question, where that was not answered; else SQLITE_OK
    char trouble[160];
};

bool history_is_forgotten(const struct history *history, int64_t id);
