// order: in which order the bytes of a job's two streams were read, and when.
//
// A bounded list of runs: from this offset on, this stream was read, until the next run. Where there is no room for
// more, older runs are joined with what came shortly before them, the older the more: of what was read lately order and
// times stay exact.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_MAX = 4096 };

struct order_run {
    int64_t start; // offset in its stream
    double at;     // wall clock when its first byte was read
    int stream;
};

struct order {
    struct order_run *runs; // owned
    size_t count, capacity;
    size_t thin_at; // the next count at which room is made; 0: the first time
    size_t removed; // runs so far, to make room
    bool full;      // what came after the last run is in no known order
    bool changed;   // runs that were there have gone; for whoever keeps a copy, who takes this back
};

void order_done(struct order *order);
// Returns 0 or -ENOMEM.
int order_copy(struct order *to, const struct order *from);
// Drops the first run that is none (its stream is not one of two, its place not in it, its time no time), and what follows: in no known order.
void order_mend(struct order *order);
// What another process had noted of it, mended.
int order_load(struct order *order, const struct order_run *runs, size_t count, bool full);
// Bytes of a stream were read, the first at `start`. A long run is cut every millisecond, so that its times mean something.
// `most`: how many runs it may have room for, ORDER_MAX at most.
void order_add(struct order *order, int stream, int64_t start, double at, size_t most);

// The next piece to show when `next[s]` is the first offset of stream s that was not shown yet and total[s] its
// end: fills the stream, the end of the piece in that stream, and the time (0: not known). `hint` speeds up a
// walk: 0 at its start, kept by the caller. False: nothing left.
bool order_next(const struct order *order, const int64_t next[2], const int64_t total[2], size_t *hint, int *ret_stream,
                int64_t *ret_end, double *ret_at);
