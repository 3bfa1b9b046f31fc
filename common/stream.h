// stream: a connected socket on a libev loop that reads lines and queues writes. Daemon and client share it.
//
// Reading: complete lines come to `line`, a few in one turn of the loop however many there are; a line over the
// cap to `overlong`, after which nothing more is read. The peer shutting down its writing side ends reading only;
// `closed` comes once when both directions are gone or broke. Writing: everything queued in one turn of the loop is
// sent at its end by one write.
// Streams are freed at the bottom of the loop, so any callback may call stream_free; they are closed by it at once.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ancillary.h"
#include "common/buffer.h"

struct stream;
struct stream_host;

struct stream_listener {
    // `line` is not terminated and valid during the call only.
    void (*line)(struct stream *stream, const char *line, size_t size, void *data);
    void (*overlong)(struct stream *stream, void *data);
    // What was queued went down to the low mark or below it after having been above.
    void (*drained)(struct stream *stream, void *data);
    // Nothing more can be read or written; the owner calls stream_free.
    void (*closed)(struct stream *stream, void *data);
    // Whether `count` more descriptors that came may be kept (0 or a negative errno); below 0: so many have gone, of
    // those and of what was given to be sent. NULL: nobody counts.
    int (*account)(void *data, int count);
    // Whether a line that is large already, and not whole yet, may be more; else it counts as over the cap. NULL: it may.
    bool (*grow)(void *data);
    // Whether one more line, this one, may be handed out in this turn of the loop; else it is, before any that had one, in
    // the next. NULL: it may.
    bool (*turn)(const char *line, size_t size, void *data);
};

struct stream_limits {
    size_t line_max;  // longest line
    size_t queue_max; // reading stops while more than this is queued to be sent
    size_t low_mark;  // for drained
    double
        patience; // seconds that descriptors are kept for the rest of their line: a connection whose own other end was
                  // sent along would never end meanwhile
};

// The shared part: a scratch buffer, the streams to flush and those to free. Returns 0 or a negative errno.
int stream_host_new(struct ev_loop *loop, struct stream_host **ret_host);
void stream_host_free(struct stream_host *host);           // all streams are freed before
uint64_t stream_host_turn(const struct stream_host *host); // the present one's number

// Takes the descriptor over (closed on failure too) and makes it non-blocking. Borrows listener, limits and data.
int stream_new(struct stream_host *host, int fd, const struct stream_listener *listener,
               const struct stream_limits *limits, void *data, struct stream **ret_stream);
void stream_set_from(struct stream *stream, uid_t from); // who is held to account for descriptors that come (closing.h)
// Sends what can be sent without blocking, then closes. NULL is allowed.
void stream_free(struct stream *stream);

// The queue to append whole lines to; call stream_send after it.
struct buffer *stream_out(struct stream *stream);
void stream_send(struct stream *stream);
// Sends descriptors beside the byte that stands at `at` of the queue: behind those of earlier calls. They are taken over
// on success, and were counted by the caller. Returns 0 or -ENOMEM.
int stream_give(struct stream *stream, size_t at, const int *fds, int count);
// In `line`: the descriptors that came with its first bytes, now the caller's. What nobody takes is closed.
struct ancillary stream_take(struct stream *stream);
size_t stream_queued(const struct stream *stream);
size_t stream_held(const struct stream *stream); // bytes of both directions

// `mark` is set while something is half way in either direction, or while somebody says that it is busy: what is done for it
// could not be gone on with by another process. Borrowed; NULL: nobody asks.
void stream_mark(struct stream *stream, int *mark);
void stream_busy(struct stream *stream, int count); // one more, or less, who says so
bool stream_is_busy(const struct stream *stream);   // somebody says so
int stream_fd(const struct stream *stream);
// What another process had read and not handled, and not sent yet. Returns 0 or -ENOMEM.
int stream_preload(struct stream *stream, const char *in, size_t in_size, const char *out, size_t out_size);
// What is there of both, to be preloaded: not with descriptors on their way (-EBUSY).
int stream_unload(const struct stream *stream, const struct buffer **ret_in, const struct buffer **ret_out);

// Whether lines are read (true at first). The peer's end is not seen while they are not.
void stream_read(struct stream *stream, bool on);
