// Accepting clients. At the cap, or without descriptors, clients wait in the socket's backlog until there is room.
#include "daemon/control/listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/closing.h"
#include "common/message.h"
#include "common/unixsock.h"
#include "common/util.h"
#include "common/watch.h"
#include "daemon/control/admission.h"
#include "daemon/control/session.h"
#include "daemon/os/descriptors.h"

enum {
    ACCEPT_TURN = 64, // clients taken in one turn of the loop
    RETRY = 1,        // seconds
};

struct listener {
    struct control *control;
    struct ev_io io;
    int spare; // given up for the moment of a refusal, so that there is an answer even when nothing else is left
    struct ev_timer retry; // only after the kernel had no memory for one more
    bool paused;
};

static void listener_pause(struct listener *listener) {
    listener->paused = true;
    ev_io_stop(listener->control->loop, &listener->io);
}

void listener_resume(struct listener *listener) {
    if (!listener->paused)
        return;
    listener->paused = false;
    ev_io_start(listener->control->loop, &listener->io);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *timer, int events) {
    listener_resume(timer->data);
}

// Somebody who can't be served is told why and closed.
static void listener_refuse(struct control *control, int fd, int code, const char *limit, const char *why) {
    struct buffer line = {0};
    json_t *message = message_error(NULL, code, why, limit ? json_pack("{s:s}", "limit", limit) : NULL);
    if (message && message_append(&line, message) == 0)
        send(fd, buffer_head(&line), buffer_size(&line), MSG_NOSIGNAL | MSG_DONTWAIT);
    json_decref(message);
    buffer_done(&line);
    closing_connection(fd);
    control->stats.refused++;
}

// Returns whether it has become a session.
static bool listener_admit(struct control *control, int fd) {
    uid_t uid;
    pid_t pid;
    if (unixsock_peer(fd, &uid, &pid) < 0) {
        fd_close(fd);
        return false;
    }
    const char *why;
    struct owner *owner = owner_get(control->owners, uid);
    const struct owner_limits *shares = owners_limits(control->owners);
    bool may = owner && admission_may(control, uid, &why);
    const char *limit = owner && !owner_may(owner, owner->descriptors, 1, shares->descriptors) ? "owner_descriptors"
                                                                                               : NULL;
    if (owner && !owner_may(owner, owner->clients, 1, shares->clients))
        limit = "owner_clients";
    if (owner && !may)
        admission_log(control, uid, pid, why);
    owner_release(control->owners, owner);
    if (!owner || !may || limit) {
        listener_refuse(control, fd, may ? PROTO_LIMIT_REACHED : PROTO_PERMISSION_DENIED, may ? limit : NULL,
                        !owner ? "out of memory"
                        : may  ? "this user has too many connections, or jobs with theirs: end some first"
                               : why);
        return false;
    }
    int r = session_new(control, fd, uid, pid);
    if (r < 0)
        log_error(control->log, "one more client: %s", strerror(-r));
    return r == 0;
}

static int spare_open(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

// The budget was kept, but the system or a limit that was lowered says no. Waiting would be for something that nobody
// tells, so whoever knocks is told. Returns whether there was somebody to tell.
static bool listener_turn_away(struct listener *listener) {
    struct control *control = listener->control;
    listener->spare = fd_close(listener->spare);
    int fd = accept4(listener->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        log_warning(control->log, "refused a client: the system has no descriptors left");
        listener_refuse(control, fd, PROTO_LIMIT_REACHED, "descriptors", "no descriptors left for one more connection");
    }
    listener->spare = spare_open();
    return fd >= 0;
}

// Takes one client. Returns whether to look for another.
static bool listener_accept(struct listener *listener) {
    struct control *control = listener->control;
    bool full = control->stats.connected >= control->limits.clients;
    if (full || descriptors_take(control->descriptors, 1, 0) < 0) {
        listener_pause(listener); // until a client has left or a job has ended
        return false;
    }
    int fd = accept4(listener->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    if (fd < 0 || !listener_admit(control, fd))
        descriptors_give(control->descriptors, 1);
    if (error == EMFILE || error == ENFILE)
        return listener_turn_away(listener);
    if (error == ENOMEM || error == ENOBUFS) { // nobody tells when the kernel has memory again
        listener_pause(listener);
        ev_timer_set(&listener->retry, RETRY, 0);
        ev_timer_start(control->loop, &listener->retry);
    }
    return error == 0 || error == EINTR || error == ECONNABORTED;
}

static void on_connect(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    for (int i = 0; i < ACCEPT_TURN && listener_accept(io->data); i++)
        ;
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
    listener->spare = spare_open();
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
    fd_close(listener->spare);
    free(listener);
}
