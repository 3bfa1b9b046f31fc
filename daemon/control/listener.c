// Accepting clients. At the cap, or without descriptors, clients wait in the socket's backlog until there is room.
#include "daemon/control/listener.h"

#include <sys/socket.h>

#include "common/message.h"
#include "common/unixsock.h"
#include "common/util.h"
#include "daemon/control/session.h"

enum { ACCEPT_TURN = 64 }; // clients taken in one turn of the loop

struct listener {
    struct control *control;
    struct ev_io io;
    struct ev_timer retry; // only while descriptors are out, which nobody tells the end of
    bool paused;
};

static void listener_pause(struct listener *listener, double retry) {
    listener->paused = true;
    ev_io_stop(listener->control->loop, &listener->io);
    if (retry > 0) {
        ev_timer_set(&listener->retry, retry, 0);
        ev_timer_start(listener->control->loop, &listener->retry);
    }
}

void listener_resume(struct listener *listener) {
    if (!listener->paused || listener->control->stats.connected >= listener->control->limits.clients)
        return;
    listener->paused = false;
    ev_timer_stop(listener->control->loop, &listener->retry);
    ev_io_start(listener->control->loop, &listener->io);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events) {
    listener_resume(timer->data);
}

// Somebody who may not be served is told so and closed.
static void listener_refuse(struct control *control, int fd) {
    struct buffer line = {0};
    json_t *message = message_error(NULL, PROTO_PERMISSION_DENIED, "this daemon serves its own user and root only", NULL);
    if (message && message_append(&line, message) == 0)
        send(fd, buffer_head(&line), buffer_size(&line), MSG_NOSIGNAL | MSG_DONTWAIT);
    json_decref(message);
    buffer_done(&line);
    fd_close(fd);
    control->stats.refused++;
}

static void listener_admit(struct control *control, int fd) {
    uid_t uid;
    pid_t pid;
    if (unixsock_peer(fd, &uid, &pid) < 0) {
        fd_close(fd);
        return;
    }
    if (!control_admits(control, uid)) {
        log_warning(control->log, "refused a client of uid %u (pid %d)", (unsigned)uid, (int)pid);
        listener_refuse(control, fd);
        return;
    }
    if (session_new(control, fd, uid, pid) < 0)
        log_error(control->log, "out of memory for one more client");
}

static void on_connect(struct ev_loop *loop, struct ev_io *io, int events) {
    struct listener *listener = io->data;
    struct control *control = listener->control;
    for (int i = 0; i < ACCEPT_TURN; i++) {
        if (control->stats.connected >= control->limits.clients) {
            listener_pause(listener, 0);
            return;
        }
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener_admit(control, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_warning(control->log, "no descriptors for one more client: accepting again when some are free");
            listener_pause(listener, 1.0);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

int listener_new(struct control *control, int fd, struct listener **ret_listener) {
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        fd_close(fd);
        return -ENOMEM;
    }
    listener->control = control;
    ev_io_init(&listener->io, on_connect, fd, EV_READ);
    ev_init(&listener->retry, on_retry);
    listener->io.data = listener->retry.data = listener;
    ev_io_start(control->loop, &listener->io);
    *ret_listener = listener;
    return 0;
}

void listener_free(struct listener *listener) {
    if (!listener)
        return;
    ev_io_stop(listener->control->loop, &listener->io);
    ev_timer_stop(listener->control->loop, &listener->retry);
    fd_close(listener->io.fd);
    free(listener);
}
