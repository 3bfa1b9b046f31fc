// Output that does not block.
#include "client/sink.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/util.h"

// One write. Non-blocking by the call, not by the descriptor: its flags are shared with other processes.
// Where RWF_NOWAIT is not known to the file (pwritev2(2)), PIPE_BUF bytes after POLLOUT do not block (pipe(7)); of a
// terminal POLLOUT says that one does.
static ssize_t sink_write_once(struct sink *sink, const char *bytes, size_t size, bool polled) {
    int fd = sink->writable.fd;
    if (sink->is_file || sink->own >= 0)
        return write(fd, bytes, size);
    struct iovec piece = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = size};
    ssize_t n = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return n;
    if (polled)
        return write(fd, bytes, sink->is_terminal ? 1 : MIN(size, (size_t)PIPE_BUF));
    errno = EAGAIN;
    return -1;
}

static void sink_fail(struct sink *sink, int error) {
    sink->error = error;
    ev_io_stop(sink->loop, &sink->writable);
    buffer_done(&sink->queue);
    sink->changed(sink);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int events) {
    struct sink *sink = w->data;
    ssize_t n = sink_write_once(sink, buffer_head(&sink->queue), buffer_size(&sink->queue), true);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        sink_fail(sink, errno);
        return;
    }
    buffer_consume(&sink->queue, (size_t)MAX(n, 0));
    if (!sink_is_empty(sink))
        return;
    ev_io_stop(loop, w);
    sink->changed(sink);
}

// A terminal can be opened once more, which has flags of its own. Not where it is another user's (su(1)), and not the other
// end of one: that would be a new terminal.
static int sink_reopen(int fd) {
    char path[32];
    int number;
    if (ioctl(fd, TIOCGPTN, &number) == 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void sink_init(struct sink *sink, struct ev_loop *loop, int fd, void (*changed)(struct sink *sink), void *data) {
    struct stat st;
    *sink = (struct sink){.loop = loop, .changed = changed, .data = data, .own = -1};
    sink->is_terminal = isatty(fd);
    if (sink->is_terminal)
        sink->own = sink_reopen(fd);
    // Regular files and /dev/null and its like are always writable, and epoll takes no regular file.
    sink->is_file = fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !sink->is_terminal;
    ev_io_init(&sink->writable, on_writable, sink->own >= 0 ? sink->own : fd, EV_WRITE);
    sink->writable.data = sink;
}

void sink_done(struct sink *sink) {
    ev_io_stop(sink->loop, &sink->writable);
    buffer_done(&sink->queue);
    sink->own = fd_close(sink->own);
}

void sink_write(struct sink *sink, const char *bytes, size_t size) {
    while (sink_is_empty(sink) && !sink->error && size > 0) {
        ssize_t n = sink_write_once(sink, bytes, size, false);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR) {
            sink_fail(sink, errno);
            return;
        }
        bytes += MAX(n, 0);
        size -= (size_t)MAX(n, 0);
    }
    if (sink->error || size == 0)
        return;
    if (buffer_append(&sink->queue, bytes, size) < 0)
        sink_fail(sink, ENOMEM);
    else
        ev_io_start(sink->loop, &sink->writable);
}
