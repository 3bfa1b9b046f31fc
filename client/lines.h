// lines: bytes of two streams as whole lines, the last few of them or each with its time, and the gaps between them. Pure but
// for memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

struct line;

struct lines {
    bool timestamps;
    long keep; // only this many of the last lines until lines_release; below 0: all
    // A whole line, its newline included where it has one.
    void (*emit)(void *data, int stream, const char *bytes, size_t size);
    // What is not kept of a stream, before the line of it that comes next.
    void (*gap)(void *data, int stream, int64_t start, int64_t end);
    void *data;
    struct buffer partial[2]; // of each stream: a line that is not yet ended
    struct line *kept;        // list of lines and gaps
    long kept_count;          // of lines
};

// `at`: when the bytes were read, seconds since the epoch; 0: unknown.
void lines_take(struct lines *lines, int stream, double at, const char *bytes, size_t size);
// A gap goes with the line behind it: where that is not among the last ones, nobody misses what was before.
void lines_gap(struct lines *lines, int stream, int64_t start, int64_t end);
// Emits what was kept back; from now on lines pass as they come. `is_end`: unended lines are lines too, and count. Else they
// come last, as far as they are there, unless lines have times: then once they are ended.
void lines_release(struct lines *lines, bool is_end);
void lines_done(struct lines *lines);
