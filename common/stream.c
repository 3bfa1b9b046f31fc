// A buffered line stream over libev.
#include "common/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"

enum { STREAM_READ_MAX = 65536 };

struct stream_host {
    struct ev_loop *loop;
    struct ev_prepare prepare; // the bottom of a turn: flush, then free
    struct stream *dirty, *dead;
    char scratch[STREAM_READ_MAX];
};

struct stream {
    struct stream_host *host;
    const struct stream_listener *listener;
    const struct stream_limits *limits;
    void *data;
    int fd, hup_fd;
    struct ev_io reader, writer, hup;
    struct buffer in, out;
    bool above_low, is_dirty, is_dead, input_over, told_closed;
    bool is_held; // by its owner: see stream_read
    bool stalled; // `in` may hold whole lines: they wait until the queue is shorter
    struct stream *next_dirty, *next_dead;
};

static void stream_stop(struct stream *s) {
    ev_io_stop(s->host->loop, &s->reader);
    ev_io_stop(s->host->loop, &s->writer);
    ev_io_stop(s->host->loop, &s->hup);
}

static void stream_broken(struct stream *s) {
    stream_stop(s);
    s->input_over = true;
    buffer_done(&s->out);
    if (s->told_closed || s->is_dead)
        return;
    s->told_closed = true;
    s->listener->closed(s, s->data);
}

static void stream_lines(struct stream *s, const char *data, size_t size);

static bool stream_full(const struct stream *s) {
    return s->is_held || buffer_size(&s->out) > s->limits->queue_max;
}

static void stream_pace(struct stream *s) {
    if (s->input_over || s->is_dead)
        return;
    if (stream_full(s)) {
        ev_io_stop(s->host->loop, &s->reader);
        return;
    }
    ev_io_start(s->host->loop, &s->reader);
    if (s->stalled) {
        struct buffer held = s->in;
        s->in = (struct buffer){0};
        s->stalled = false;
        stream_lines(s, buffer_head(&held), buffer_size(&held));
        buffer_done(&held);
    }
}

// Writes what can be written. Returns 0 or a negative errno that ends the stream.
static int stream_write(struct stream *s) {
    while (buffer_size(&s->out) > 0) {
        ssize_t n = send(s->fd, buffer_head(&s->out), buffer_size(&s->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        buffer_consume(&s->out, (size_t)n);
    }
    return 0;
}

static void stream_flush(struct stream *s) {
    if (s->told_closed)
        return;
    bool was_above = s->above_low || buffer_size(&s->out) > s->limits->low_mark;
    if (stream_write(s) < 0) {
        stream_broken(s);
        return;
    }
    if (buffer_size(&s->out) > 0)
        ev_io_start(s->host->loop, &s->writer);
    else
        ev_io_stop(s->host->loop, &s->writer);
    s->above_low = buffer_size(&s->out) > s->limits->low_mark;
    bool drained = was_above && !s->above_low;
    stream_pace(s);
    if (drained && !s->is_dead)
        s->listener->drained(s, s->data);
}

static void stream_on_write(struct ev_loop *loop, struct ev_io *w, int events) {
    stream_flush(w->data);
}

// A half-closed connection is always readable, so it is watched for its end by an epoll of its own, with no
// event asked for: EPOLLHUP comes unasked when both directions are shut (epoll_ctl(2)).
static void stream_on_hup(struct ev_loop *loop, struct ev_io *w, int events) {
    stream_broken(w->data);
}

static void stream_end_input(struct stream *s) {
    // A last line without its newline is a line all the same: what was cut short says so by not being JSON.
    if (buffer_size(&s->in) > 0)
        stream_lines(s, "\n", 1);
    if (s->is_dead)
        return;
    s->input_over = true;
    ev_io_stop(s->host->loop, &s->reader);
    buffer_done(&s->in);
    struct pollfd p = {.fd = s->fd};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))) {
        stream_broken(s);
        return;
    }
    s->hup_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {0};
    if (s->hup_fd < 0 || epoll_ctl(s->hup_fd, EPOLL_CTL_ADD, s->fd, &event) < 0) {
        stream_broken(s);
        return;
    }
    ev_io_set(&s->hup, s->hup_fd, EV_READ);
    ev_io_start(s->host->loop, &s->hup);
}

static void stream_overlong(struct stream *s) {
    s->input_over = true;
    ev_io_stop(s->host->loop, &s->reader);
    buffer_done(&s->in);
    s->listener->overlong(s, s->data);
}

// Hands out the lines of `data`; what is left of an unfinished one goes into s->in.
static void stream_lines(struct stream *s, const char *data, size_t size) {
    while (size > 0 && !s->is_dead && !s->input_over) {
        if (stream_full(s)) {
            s->stalled = true;
            if (buffer_append(&s->in, data, size) < 0)
                stream_overlong(s);
            ev_io_stop(s->host->loop, &s->reader);
            return;
        }
        const char *newline = memchr(data, '\n', size);
        size_t piece = newline ? (size_t)(newline - data) : size;
        if (buffer_size(&s->in) + piece > s->limits->line_max) {
            stream_overlong(s);
            return;
        }
        if (!newline || buffer_size(&s->in) > 0) {
            if (buffer_append(&s->in, data, piece) < 0) {
                stream_overlong(s);
                return;
            }
        }
        if (newline && buffer_size(&s->in) > 0) {
            struct buffer line = s->in;
            s->in = (struct buffer){0};
            s->listener->line(s, buffer_head(&line), buffer_size(&line), s->data);
            buffer_done(&line);
        } else if (newline) {
            s->listener->line(s, data, piece, s->data);
        }
        size -= piece + (newline != NULL);
        data += piece + (newline != NULL);
    }
}

static void stream_on_read(struct ev_loop *loop, struct ev_io *w, int events) {
    struct stream *s = w->data;
    ssize_t n = recv(s->fd, s->host->scratch, STREAM_READ_MAX, MSG_DONTWAIT);
    if (n > 0)
        stream_lines(s, s->host->scratch, (size_t)n);
    else if (n == 0)
        stream_end_input(s);
    else if (errno != EAGAIN && errno != EINTR)
        stream_broken(s);
}

static void stream_host_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents) {
    struct stream_host *host = w->data;
    while (host->dirty) {
        struct stream *s = host->dirty;
        host->dirty = s->next_dirty;
        s->is_dirty = false;
        if (!s->is_dead)
            stream_flush(s);
    }
    while (host->dead) {
        struct stream *s = host->dead;
        host->dead = s->next_dead;
        if (!s->told_closed)
            stream_write(s);
        fd_close(s->fd);
        fd_close(s->hup_fd);
        buffer_done(&s->in);
        buffer_done(&s->out);
        free(s);
    }
}

int stream_host_new(struct ev_loop *loop, struct stream_host **ret_host) {
    struct stream_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->loop = loop;
    ev_prepare_init(&host->prepare, stream_host_prepare);
    host->prepare.data = host;
    ev_set_priority(&host->prepare, EV_MINPRI); // after everybody else's prepare, so that their lines go out too
    ev_prepare_start(loop, &host->prepare);
    ev_unref(loop);
    *ret_host = host;
    return 0;
}

void stream_host_free(struct stream_host *host) {
    if (!host)
        return;
    stream_host_prepare(host->loop, &host->prepare, 0);
    ev_ref(host->loop);
    ev_prepare_stop(host->loop, &host->prepare);
    free(host);
}

int stream_new(struct stream_host *host, int fd, const struct stream_listener *listener,
               const struct stream_limits *limits, void *data, struct stream **ret_stream) {
    _cleanup_close_ int owned = fd;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct stream){.host = host, .listener = listener, .limits = limits, .data = data, .hup_fd = -1};
    s->fd = TAKE_FD(owned);
    ev_io_init(&s->reader, stream_on_read, s->fd, EV_READ);
    ev_io_init(&s->writer, stream_on_write, s->fd, EV_WRITE);
    ev_init(&s->hup, stream_on_hup);
    s->reader.data = s->writer.data = s->hup.data = s;
    ev_io_start(host->loop, &s->reader);
    *ret_stream = s;
    return 0;
}

void stream_free(struct stream *stream) {
    if (!stream || stream->is_dead)
        return;
    stream_stop(stream);
    stream->is_dead = true;
    stream->next_dead = stream->host->dead;
    stream->host->dead = stream;
}

struct buffer *stream_out(struct stream *stream) {
    return &stream->out;
}

void stream_send(struct stream *stream) {
    if (stream->is_dirty || stream->is_dead || stream->told_closed)
        return;
    stream->is_dirty = true;
    stream->next_dirty = stream->host->dirty;
    stream->host->dirty = stream;
}

size_t stream_queued(const struct stream *stream) {
    return buffer_size(&stream->out);
}

void stream_read(struct stream *stream, bool on) {
    stream->is_held = !on;
    stream_send(stream); // the bottom of the loop starts or stops reading
}
