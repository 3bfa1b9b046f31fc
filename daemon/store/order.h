// order: in which order the bytes of a job's two streams were read, and when.
//
// A bounded list of runs: from this offset on, this stream was read, until the next run. When the list is
// full the order of what comes later is not known any more; nothing else suffers.
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
    bool full; // what came after the last run is in no known order
};

void order_done(struct order *order);
// Returns 0 or -ENOMEM.
int order_copy(struct order *to, const struct order *from);
// What another process had noted of it.
int order_load(struct order *order, const struct order_run *runs, size_t count, bool full);
// `size` bytes of a stream were read, the first at `start`. A long run is cut once a second, so that its times mean something.
void order_add(struct order *order, int stream, int64_t start, double at);

// The next piece to show when `next[s]` is the first offset of stream s that was not shown yet and total[s] its
// end: fills the stream, the end of the piece in that stream, and the time (0: not known). `hint` speeds up a
// walk: 0 at its start, kept by the caller. False: nothing left.
bool order_next(const struct order *order, const int64_t next[2], const int64_t total[2], size_t *hint, int *ret_stream,
                int64_t *ret_end, double *ret_at);
