// chunks: stored output as the protocol's chunks, in the order in which it was read.
#pragma once

#include <jansson.h>

#include "daemon/core/job.h"

struct cursor {
    unsigned mask;              // of the streams shown, bits 1 << stream
    int64_t next[STREAM_COUNT]; // first offset that was not shown
    size_t hint;                // into the reading order
    bool base64;                // forced
    bool bare;                  // offsets only: whoever reads has the stored stream itself
};

// Resolves an offset as given: negative counts from the stream's present end.
int64_t cursor_offset(const struct job *job, int stream, int64_t offset);

// Builds {chunks, next, gaps, eof} with up to `limit` bytes and moves the cursor behind them. While more may
// come a character that is cut by the present end waits for its rest. NULL when memory is out.
json_t *chunks_build(const struct job *job, struct cursor *cursor, size_t limit);
// Whether chunks_build would show something new: bytes, or a gap.
bool chunks_waiting(const struct job *job, const struct cursor *cursor);
bool chunks_eof(const struct job *job, const struct cursor *cursor);
