// sink: writes to a stream of this process without ever blocking it, so that signals are still forwarded while
// a reader sleeps.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

struct sink {
    struct ev_loop *loop; // borrowed
    struct ev_io writable;
    struct buffer queue;
    bool is_file; // always takes what it is given
    bool is_terminal;
    int own;                            // of a terminal: opened once more, non-blocking; -1: none
    int error;                          // errno of the write that failed; nothing is written after it
    void (*changed)(struct sink *sink); // the queue ran empty, or writing failed
    void *data;
};

void sink_init(struct sink *sink, struct ev_loop *loop, int fd, void (*changed)(struct sink *sink), void *data);
void sink_done(struct sink *sink);

// Writes what can be written now and queues the rest.
void sink_write(struct sink *sink, const char *bytes, size_t size);
static inline bool sink_is_empty(const struct sink *sink) {
    return buffer_size(&sink->queue) == 0;
}
