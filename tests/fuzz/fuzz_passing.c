// fuzz_passing: lines and descriptors in any pieces, to a reader that takes some: none is lost, none is there twice, and a
// line that has some has those of its first byte.
//
// Of the input each byte is a piece that is sent: how long, whether a line ends with it, how many descriptors go along.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/stream.h"
#include "common/util.h"
#include "tests/fuzz/input.h"

enum { PIECES_MAX = 64, LINE_MAX_ = 40, HELD_MAX = 4, FDS_LOOKED_AT = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
    int held; // by the stream, as it is counted
    bool is_over;
    unsigned lines;
    unsigned takes; // bits: which lines take what came
};

static void on_line(struct stream *stream, const char *line, size_t size, void *data) {
    struct scene *scene = data;
    if (scene->takes >> (scene->lines++ % 8) & 1) {
        struct ancillary came = stream_take(stream);
        if (came.count < 0 || came.count > ANCILLARY_MAX || (came.too_many && came.count > 0))
            abort();
        // The first byte of a line says how many went along with it; where that was too much, none have come.
        if (size > 0 && !came.too_many && came.count != line[0] - '0')
            abort();
        scene->held -= came.count;
        // Some are sent back.
        if (came.count > 0 && scene->lines % 2 &&
            stream_give(stream, stream_queued(stream), came.fds, came.count) == 0) {
            scene->held += came.count;
            if (buffer_append(stream_out(stream), "back\n", 5) < 0)
                exit(1);
            stream_send(stream);
        } else {
            ancillary_close(&came);
        }
    }
}

static void on_over(struct stream *stream, void *data) {
    ((struct scene *)data)->is_over = true;
}

static void on_drained(struct stream *stream, void *data) {
}

static int on_account(void *data, int count) {
    struct scene *scene = data;
    if (count > 0 && scene->held + count > HELD_MAX)
        return -EMFILE;
    scene->held += count;
    if (scene->held < 0)
        abort();
    return 0;
}

static const struct stream_listener listener = {
    .line = on_line, .overlong = on_over, .drained = on_drained, .closed = on_over, .account = on_account};
static const struct stream_limits limits = {.line_max = LINE_MAX_, .queue_max = 512, .low_mark = 16, .patience = 1e9};

// What is passed; as often as it is open here, but for once, it was forgotten.
static int lent = -1;

static int count_open(void) {
    struct stat own, other;
    int count = 0;
    if (fstat(lent, &own) < 0)
        exit(1);
    for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
        count += fstat(fd, &other) == 0 && other.st_dev == own.st_dev && other.st_ino == own.st_ino;
    return count;
}

static void turn(struct ev_loop *loop, int peer) {
    char answer[64];
    struct ancillary back;
    ev_run(loop, EVRUN_NOWAIT);
    while (ancillary_recv(peer, answer, sizeof(answer), true, 0, &back) > 0)
        ancillary_close(&back);
}

// A piece: with the first byte of a line those descriptors that it tells of.
static void send_piece(int peer, unsigned what, bool *begins) {
    char text[LINE_MAX_];
    size_t size = 1 + what / 8 % 16;
    int fds[ANCILLARY_MAX] = {lent, lent, lent}, count = (int)(what % 4);
    memset(text, 'x', sizeof(text));
    if (*begins)
        text[0] = (char)('0' + count);
    if (what & 128)
        text[size - 1] = '\n';
    if (*begins && size == 1 && (what & 128))
        count = 0; // an empty line has no byte to tell it
    // A piece in the middle of a line has none, or some that belong to nobody.
    (void)!ancillary_send(peer, text, size, fds, *begins || what & 4 ? count : 0);
    *begins = what & 128;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ev_loop *loop;
    struct input in = {data, size};
    struct scene scene = {.takes = input_byte(&in)};
    struct stream_host *host;
    struct stream *stream;
    int ends[2];
    bool begins = true;
    if (size > PIECES_MAX)
        return 0;
    if (!loop && (!(loop = ev_loop_new(EVFLAG_AUTO)) || (lent = memfd_create("lent", MFD_CLOEXEC)) < 0))
        exit(1);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
        stream_host_new(loop, &host) < 0 || stream_new(host, ends[0], &listener, &limits, &scene, &stream) < 0)
        exit(1);
    for (unsigned turns = input_byte(&in) + 1u; in.size > 0 && !scene.is_over;) {
        send_piece(ends[1], input_byte(&in), &begins);
        if (in.size % (turns % 8 + 1) == 0)
            turn(loop, ends[1]);
    }
    shutdown(ends[1], SHUT_WR);
    for (size_t i = 0; i < 2 * size + 8; i++)
        turn(loop, ends[1]);
    stream_free(stream);
    stream_host_free(host);
    close(ends[1]);
    if (scene.held != 0 || count_open() != 1)
        abort();
    return 0;
}
