// channel: a stream under test on a loop of its own, what it told, and its peer. For the tests of streams.
#pragma once

#include "common/stream.h"

enum { CHANNEL_LINE_MAX = 100, CHANNEL_QUEUE_MAX = 1000, CHANNEL_LOW_MARK = 200 };

struct channel {
    struct ev_loop *loop;
    struct stream_host *host;
    int peer;                             // the other end, non-blocking
    struct stream *stream;                // NULL once freed
    int lines, overlong, drained, closed; // how often told
    char got[4096];                       // every line, each followed by |
    size_t got_size;
    void (*on_line)(void), (*on_closed)(void); // done in the callback, where set
};

extern struct channel channel;
extern const struct stream_listener channel_listener;
extern const struct stream_limits channel_limits;

// The fixture of every test.
void channel_setup(void);
void channel_teardown(void);
void channel_free_stream(void);

// Turns of the loop without waiting: enough for all that is there.
void channel_turn(void);
void channel_peer_says(const char *text);
// Reads what there is for the peer, NUL at its end; returns how much.
size_t channel_peer_reads(char *text, size_t size);
// Queues bytes to be sent to the peer.
void channel_say(const char *text, size_t size);
// Queues far more than the socket takes, in the turn at hand. Then lets the peer read all of it.
void channel_fill(void);
void channel_clog(void); // fills, and turns the loop
void channel_unclog(void);
