// A buffered line stream over libev.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/closing.h"
#include "common/stream_internal.h"
#include "common/util.h"

static void stream_stop(struct stream *s) {
    ev_io_stop(s->host->loop, &s->reader);
    ev_io_stop(s->host->loop, &s->writer);
    ev_timer_stop(s->host->loop, &s->patience);
    if (s->watches_hup)
        epoll_ctl(s->host->hup.fd, EPOLL_CTL_DEL, s->fd, NULL);
    s->watches_hup = false;
}

void stream_broken(struct stream *s) {
    stream_stop(s);
    s->input_over = true;
    buffer_done(&s->out);
    passing_done(&s->passing);
    if (s->told_closed || s->is_dead)
        return;
    s->told_closed = true;
    s->listener->closed(s, s->data);
}

static bool stream_full(const struct stream *s) {
    return s->is_held || buffer_size(&s->out) > s->limits->queue_max;
}

// Whether the stream has had its lines of this turn. Then it is looked at again in the next.
static bool stream_spent(struct stream *s) {
    if (s->turn != s->host->turn) {
        s->turn = s->host->turn;
        s->lines = 0;
        s->since = now_mono();
    }
    if (s->lines == 0 || (s->lines < STREAM_TURN_LINES && now_mono() - s->since < STREAM_TURN_SECONDS))
        return false;
    stream_send(s);
    return true;
}

// Whether others are to have their lines first.
static bool stream_waits(struct stream *s, size_t size) {
    struct stream_host *host = s->host;
    if (!s->listener->turn || s->listener->turn(buffer_head(&s->in), size, s->data))
        return false;
    if (s->is_dirty)
        return true; // it is looked at again at the bottom of this one
    stream_send(s);
    if (s->is_dirty && s->lines == 0) { // it stands in front there
        host->dirty = s->next_dirty;
        s->next_dirty = NULL;
        *(host->waiting ? &host->last_waiting->next_dirty : &host->waiting) = s;
        host->last_waiting = s;
    }
    return true;
}

static void stream_overlong(struct stream *s) {
    s->input_over = true;
    ev_io_stop(s->host->loop, &s->reader);
    s->listener->overlong(s, s->data); // first: it looks at what is held
    buffer_done(&s->in);
    passing_leave(&s->passing);
}

// Hands out the whole lines that are there, as far as may be. Returns whether none is left and more can be read.
static bool stream_lines(struct stream *s) {
    while (!s->is_dead && !s->input_over) {
        char *line = buffer_head(&s->in);
        size_t have = buffer_size(&s->in);
        char *newline = have > s->scanned ? memchr(line + s->scanned, '\n', have - s->scanned) : NULL;
        s->scanned = newline ? (size_t)(newline - line) : have;
        if (s->scanned > s->limits->line_max) {
            stream_overlong(s);
            return false;
        }
        if (!newline && s->passing.in.count > 0 && !ev_is_active(&s->patience))
            ev_timer_start(s->host->loop, &s->patience);
        if (!newline)
            return !stream_full(s);
        size_t size = s->scanned;
        if (stream_full(s) || stream_spent(s) || stream_waits(s, size))
            return false;
        s->scanned = 0;
        s->lines++;
        s->host->handed = true;
        s->listener->line(s, line, size, s->data);
        if (s->is_dead)
            break;
        buffer_consume(&s->in, size + 1);
        passing_leave(&s->passing);
        ev_timer_stop(s->host->loop, &s->patience);
    }
    return false;
}

static void stream_end_input(struct stream *s) {
    s->input_over = true;
    buffer_done(&s->in);
    passing_leave(&s->passing);
    struct pollfd p = {.fd = s->fd};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))) {
        stream_broken(s);
        return;
    }
    struct epoll_event event = {.data.ptr = s};
    s->watches_hup = epoll_ctl(s->host->hup.fd, EPOLL_CTL_ADD, s->fd, &event) == 0;
    if (!s->watches_hup)
        stream_broken(s);
}

static void stream_pace(struct stream *s) {
    bool more = !stream_full(s) && stream_lines(s);
    if (more && !s->input_ends) {
        ev_io_start(s->host->loop, &s->reader);
        return;
    }
    ev_io_stop(s->host->loop, &s->reader);
    if (more)
        stream_end_input(s);
}

// Writes what can be written. Returns 0 or a negative errno that ends the stream.
static int stream_write(struct stream *s) {
    while (buffer_size(&s->out) > 0) {
        size_t room;
        const struct passing_out *set = passing_next(&s->passing, s->out_offset, &room);
        ssize_t n = ancillary_send(s->fd, buffer_head(&s->out), MIN(buffer_size(&s->out), room), set ? set->fds : NULL,
                                   set ? set->count : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (set)
            passing_gone(&s->passing);
        buffer_consume(&s->out, (size_t)n);
        s->out_offset += (size_t)n;
    }
    return 0;
}

static void stream_rest(struct stream *s) {
    bool half = buffer_size(&s->in) > 0 || buffer_size(&s->out) > 0 || s->passing.in.count > 0;
    if (s->mark && !s->is_dead)
        __atomic_store_n(s->mark, half || s->busy > 0, __ATOMIC_RELEASE);
}

void stream_flush(struct stream *s) {
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
    if (s->told_closed)
        return;
    if (drained && !s->is_dead)
        s->listener->drained(s, s->data);
    if (!s->is_dirty)
        stream_rest(s);
}

static void stream_on_patience(struct ev_loop *loop, struct ev_timer *w, int events) {
    struct stream *s = w->data;
    passing_lose(&s->passing);
}

static void stream_on_write(struct ev_loop *loop, struct ev_io *w, int events) {
    if (events & EV_ERROR)
        stream_broken(w->data);
    else
        stream_flush(w->data);
}

// A last line without its newline is one all the same, and has its turn like any other: what was cut short says so by not
// being JSON.
static void stream_on_end(struct stream *s) {
    s->input_ends = true;
    ev_timer_stop(s->host->loop, &s->patience);
    if (buffer_size(&s->in) > 0 && buffer_append(&s->in, "\n", 1) < 0)
        buffer_done(&s->in);
    stream_pace(s);
}

// Takes a piece in. Returns 0 or -ENOMEM.
static int stream_append(struct stream *s, size_t size, struct ancillary *along) {
    int r = buffer_append(&s->in, s->host->scratch, size);
    if (r < 0)
        ancillary_close(along);
    else if (along->count > 0 || along->too_many)
        passing_in(&s->passing, along);
    return r;
}

static bool stream_may_grow(const struct stream *s) {
    return buffer_size(&s->in) <= STREAM_LARGE || !s->listener->grow || s->listener->grow(s->data);
}

static void stream_on_read(struct ev_loop *loop, struct ev_io *w, int events) {
    struct stream *s = w->data;
    if (events & EV_ERROR) { // the kernel has no room for one more that is watched
        stream_broken(s);
        return;
    }
    if (stream_full(s)) { // since the last turn: the bottom of this one stops the watcher
        stream_send(s);
        return;
    }
    struct ancillary along;
    stream_send(s); // marks it, and has the mark taken back at the bottom of the turn
    ssize_t n = ancillary_recv(s->fd, s->host->scratch, STREAM_READ_MAX, buffer_size(&s->in) == 0, s->from, &along);
    if (n > 0 && (stream_append(s, (size_t)n, &along) < 0 || !stream_may_grow(s)))
        stream_overlong(s);
    else if (n > 0)
        stream_pace(s);
    else if (n == 0)
        stream_on_end(s);
    else if (errno != EAGAIN && errno != EINTR)
        stream_broken(s);
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
    *s = (struct stream){.host = host, .listener = listener, .limits = limits, .data = data};
    s->fd = TAKE_FD(owned);
    s->passing.account = listener->account;
    s->passing.data = data;
    ev_io_init(&s->reader, stream_on_read, s->fd, EV_READ);
    ev_io_init(&s->writer, stream_on_write, s->fd, EV_WRITE);
    ev_timer_init(&s->patience, stream_on_patience, limits->patience, 0);
    s->reader.data = s->writer.data = s->patience.data = s;
    ev_io_start(host->loop, &s->reader);
    *ret_stream = s;
    return 0;
}

void stream_set_from(struct stream *stream, uid_t from) {
    stream->from = from;
}

void stream_free(struct stream *stream) {
    if (!stream || stream->is_dead)
        return;
    stream_stop(stream);
    if (!stream->told_closed)
        stream_write(stream);
    passing_done(&stream->passing); // its account goes with the owner
    closing_connection(stream->fd);
    stream->fd = -1;
    stream->is_dead = true;
    stream->next_dead = stream->host->dead;
    stream->host->dead = stream;
}

struct buffer *stream_out(struct stream *stream) {
    return &stream->out;
}

void stream_send(struct stream *stream) {
    if (stream->mark)
        __atomic_store_n(stream->mark, 1, __ATOMIC_RELEASE);
    if (stream->is_dirty || stream->is_dead || stream->told_closed)
        return;
    stream->is_dirty = true;
    stream->next_dirty = stream->host->dirty;
    stream->host->dirty = stream;
}

int stream_give(struct stream *stream, size_t at, const int *fds, int count) {
    return passing_give(&stream->passing, stream->out_offset + at, fds, count);
}

struct ancillary stream_take(struct stream *stream) {
    return passing_take(&stream->passing);
}

void stream_mark(struct stream *stream, int *mark) {
    stream->mark = mark;
}

void stream_busy(struct stream *stream, int count) {
    stream->busy += count;
    if (count < 0)
        stream_send(stream);
    else if (stream->mark)
        __atomic_store_n(stream->mark, 1, __ATOMIC_RELEASE);
}

bool stream_is_busy(const struct stream *stream) {
    return stream->busy > 0;
}

int stream_fd(const struct stream *stream) {
    return stream->fd;
}

int stream_preload(struct stream *s, const char *in, size_t in_size, const char *out, size_t out_size) {
    int r = in_size > 0 ? buffer_append(&s->in, in, in_size) : 0;
    if (r == 0 && out_size > 0)
        r = buffer_append(&s->out, out, out_size);
    if (in_size > 0 || out_size > 0)
        stream_send(s);
    return r;
}

int stream_unload(const struct stream *s, const struct buffer **ret_in, const struct buffer **ret_out) {
    if (s->passing.in.count > 0 || s->passing.out || s->busy > 0)
        return -EBUSY;
    *ret_in = &s->in;
    *ret_out = &s->out;
    return 0;
}

size_t stream_held(const struct stream *stream) {
    return buffer_size(&stream->in) + buffer_size(&stream->out);
}

size_t stream_queued(const struct stream *stream) {
    return buffer_size(&stream->out);
}

void stream_read(struct stream *stream, bool on) {
    stream->is_held = !on;
    stream_send(stream); // the bottom of the loop starts or stops reading
}
