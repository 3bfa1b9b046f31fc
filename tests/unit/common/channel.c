// A socket pair with a stream at one end.
#include "tests/unit/common/channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/util.h"
#include "tests/unit/suite.h"

enum { TURNS = 50 };

const struct stream_limits channel_limits = {
    .line_max = CHANNEL_LINE_MAX, .queue_max = CHANNEL_QUEUE_MAX, .low_mark = CHANNEL_LOW_MARK, .patience = 0.01};
struct channel channel;

static void told_line(struct stream *s, const char *line, size_t size, void *data) {
    ck_assert_ptr_eq(s, channel.stream);
    ck_assert_ptr_eq(data, &channel);
    ck_assert_ptr_null(memchr(line, '\n', size));
    ck_assert_uint_lt(channel.got_size + size + 1, sizeof(channel.got));
    memcpy(channel.got + channel.got_size, line, size);
    channel.got_size += size;
    channel.got[channel.got_size++] = '|';
    channel.got[channel.got_size] = 0;
    channel.lines++;
    if (channel.on_line)
        channel.on_line();
}

static void told_overlong(struct stream *s, void *data) {
    channel.overlong++;
}

static void told_drained(struct stream *s, void *data) {
    channel.drained++;
}

static void told_closed(struct stream *s, void *data) {
    channel.closed++;
    if (channel.on_closed)
        channel.on_closed();
}

const struct stream_listener channel_listener = {told_line, told_overlong, told_drained, told_closed};

void channel_setup(void) {
    int pair[2], small = 1;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)); // the least there is: it is soon full
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    channel = (struct channel){.loop = ev_loop_new(EVFLAG_AUTO), .peer = pair[1]};
    ck_assert_ptr_nonnull(channel.loop);
    ck_assert_int_eq(stream_host_new(channel.loop, &channel.host), 0);
    ck_assert_int_eq(stream_new(channel.host, pair[0], &channel_listener, &channel_limits, &channel, &channel.stream),
                     0);
    ck_assert(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
}

void channel_teardown(void) {
    stream_free(channel.stream);
    stream_host_free(channel.host);
    ev_loop_destroy(channel.loop);
    fd_close(channel.peer);
}

void channel_free_stream(void) {
    stream_free(channel.stream);
    channel.stream = NULL;
}

void channel_turn(void) {
    for (int i = 0; i < TURNS; i++)
        ev_run(channel.loop, EVRUN_NOWAIT);
}

void channel_peer_says(const char *text) {
    ck_assert_int_eq(write(channel.peer, text, strlen(text)), (ssize_t)strlen(text));
}

size_t channel_peer_reads(char *text, size_t size) {
    ssize_t n = read(channel.peer, text, size - 1);
    text[MAX(n, 0)] = 0;
    return (size_t)MAX(n, 0);
}

void channel_say(const char *text, size_t size) {
    ck_assert_int_eq(buffer_append(stream_out(channel.stream), text, size), 0);
    stream_send(channel.stream);
}

void channel_fill(void) {
    static const char block[400000];
    channel_say(block, sizeof(block));
}

void channel_clog(void) {
    channel_fill();
    channel_turn();
    ck_assert_uint_gt(stream_queued(channel.stream), CHANNEL_QUEUE_MAX);
}

void channel_unclog(void) {
    static char block[100000];
    for (int i = 0; i < 1000 && stream_queued(channel.stream) > 0; i++) {
        while (channel_peer_reads(block, sizeof(block)) > 0)
            ;
        ev_run(channel.loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_eq(stream_queued(channel.stream), 0);
}
