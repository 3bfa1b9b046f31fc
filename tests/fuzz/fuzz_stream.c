// fuzz_stream: a client's bytes in pieces of any size: the lines handed out are those of the whole, whatever the pieces.
//
// Of the input, the first byte is the length of the longest line, the second how the rest is cut into pieces.
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/stream.h"
#include "common/util.h"

enum { PIECES = 7, TURNS_SPARE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct got {
    struct buffer lines; // each with a newline
    bool overlong, closed;
    unsigned count;
};

static void on_line(struct stream *stream, const char *line, size_t size, void *data) {
    struct got *got = data;
    if (got->overlong || got->closed || memchr(line, '\n', size))
        abort();
    if (buffer_append(&got->lines, line, size) < 0 || buffer_append(&got->lines, "\n", 1) < 0)
        exit(1);
    // Reading is held now and then, as it is while many launches wait; the answer is as long as the line.
    stream_read(stream, ++got->count % 5 != 0);
    if (buffer_append(stream_out(stream), line, size) < 0)
        exit(1);
    stream_send(stream);
}

static void on_overlong(struct stream *stream, void *data) {
    ((struct got *)data)->overlong = true;
}

static void on_drained(struct stream *stream, void *data) {
}

static void on_closed(struct stream *stream, void *data) {
    ((struct got *)data)->closed = true;
}

static const struct stream_listener listener = {
    .line = on_line, .overlong = on_overlong, .drained = on_drained, .closed = on_closed};

// What the lines of the whole are, up to the first that is too long.
static bool expect(const char *text, size_t size, size_t line_max, struct buffer *lines) {
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t length = newline ? (size_t)(newline - text) : size;
        if (length > line_max)
            return true;
        if (buffer_append(lines, text, length) < 0 || buffer_append(lines, "\n", 1) < 0)
            exit(1);
        size -= MIN(length + 1, size);
        text += length + 1;
    }
    return false;
}

static void turn(struct ev_loop *loop, struct stream *stream, int peer) {
    char answer[4096];
    ev_run(loop, EVRUN_NOWAIT);
    while (recv(peer, answer, sizeof(answer), MSG_DONTWAIT) > 0)
        ;
    stream_read(stream, true);
}

static void feed(struct ev_loop *loop, struct stream *stream, int peer, const char *text, size_t size, unsigned seed) {
    while (size > 0) {
        size_t piece = MIN(size, (size_t)1 << seed % PIECES);
        ssize_t n = send(peer, text, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        seed = seed * 5 + 3;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
        if (n <= 0 || seed % 3 == 0)
            turn(loop, stream, peer);
        if (n < 0 && errno != EAGAIN)
            return; // the reader has closed
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ev_loop *loop;
    struct stream_host *host;
    struct stream *stream;
    struct got got = {.count = 0};
    struct buffer wanted = {0};
    int ends[2];
    if (size < 2 || size > 4096)
        return 0;
    if (!loop)
        loop = ev_loop_new(EVFLAG_AUTO);
    const struct stream_limits limits = {.line_max = data[0], .queue_max = 512, .low_mark = 16};
    const char *text = (const char *)data + 2;
    if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || stream_host_new(loop, &host) < 0 ||
        stream_new(host, ends[0], &listener, &limits, &got, &stream) < 0)
        exit(1);
    feed(loop, stream, ends[1], text, size - 2, data[1]);
    shutdown(ends[1], SHUT_WR);
    for (size_t i = 0; i < size + TURNS_SPARE; i++)
        turn(loop, stream, ends[1]);
    bool overlong = expect(text, size - 2, limits.line_max, &wanted);
    if (overlong != got.overlong || buffer_size(&wanted) != buffer_size(&got.lines) ||
        (buffer_size(&wanted) && memcmp(buffer_head(&wanted), buffer_head(&got.lines), buffer_size(&wanted)) != 0))
        abort();
    stream_free(stream);
    close(ends[1]);
    stream_host_free(host);
    buffer_done(&wanted);
    buffer_done(&got.lines);
    return 0;
}
