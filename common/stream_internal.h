// stream_internal: what stream.c and stream_host.c share.
#pragma once

#include <stdint.h>

#include "common/passing.h"
#include "common/stream.h"

enum {
    STREAM_READ_MAX = 65536,
    STREAM_LARGE = 256 * 1024, // a line's first bytes, after which each piece is asked about
    STREAM_TURN_LINES = 16,    // of one stream in one turn of the loop, so that nobody waits long for his own
};
#define STREAM_TURN_SECONDS 25e-6 // nor for a few that are dear; a line that is begun is done

struct stream_host {
    struct ev_loop *loop;
    struct ev_prepare prepare; // the bottom of a turn: flush, then free
    struct ev_idle again;      // the loop does not sleep while something is left for the next turn
    struct ev_io hup;          // of an epoll of its own: see stream_on_hup
    uint64_t turn;
    struct stream *dirty, *dead;
    struct stream *waiting, *last_waiting; // dirty ones that had no line in this turn, in order
    bool handed;                           // a line, since this was set to false
    char scratch[STREAM_READ_MAX];
};

struct stream {
    struct stream_host *host;
    const struct stream_listener *listener;
    const struct stream_limits *limits;
    void *data;
    int fd; // -1 once dead
    struct ev_io reader, writer;
    struct buffer in, out;
    uint64_t out_offset; // of its first byte, since the start
    struct passing passing;
    uid_t from;               // who passes them
    struct ev_timer patience; // while descriptors wait for the rest of their line
    bool above_low, is_dirty, is_dead, input_over, told_closed, watches_hup;
    bool input_ends; // nothing comes any more; input_over: nor is anything left to be handed out
    bool is_held;    // by its owner: see stream_read
    size_t scanned;  // of `in`: without a newline
    uint64_t turn;   // in which `lines` were handed out
    int lines;
    double since; // the first of them
    int *mark;    // borrowed, or NULL
    int busy;
    struct stream *next_dirty, *next_dead;
};

void stream_broken(struct stream *stream); // tells closed
void stream_flush(struct stream *stream);  // sends what can be sent, reads on where that may be
