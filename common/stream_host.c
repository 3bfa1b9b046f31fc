// What streams of one loop share: the bottom of its turns, and who has hung up.
#include <sys/epoll.h>

#include "common/stream_internal.h"
#include "common/util.h"

// A half-closed connection is always readable, so those are watched for their end by another epoll, with no
// event asked for: EPOLLHUP comes unasked when both directions are shut (epoll_ctl(2)).
static void stream_on_hup(struct ev_loop *loop, struct ev_io *w, int events) {
    struct epoll_event event;
    if (epoll_wait(w->fd, &event, 1, 0) == 1) // one a turn: its end may be that of others
        stream_broken(event.data.ptr);
}

// What comes up for a stream from here on is for the next turn, which then begins at once.
static void stream_host_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents) {
    struct stream_host *host = w->data;
    struct stream *dirty = TAKE_PTR(host->dirty);
    if (host->waiting) {
        host->last_waiting->next_dirty = dirty;
        dirty = TAKE_PTR(host->waiting);
    }
    host->turn++;
    host->handed = false;
    while (dirty) {
        struct stream *s = dirty;
        dirty = s->next_dirty;
        s->is_dirty = false;
        if (!s->is_dead)
            stream_flush(s);
    }
    struct stream *dead = TAKE_PTR(host->dead);
    while (dead) {
        struct stream *s = dead;
        dead = s->next_dead;
        if (s->is_dirty) {
            s->next_dead = host->dead;
            host->dead = s;
            continue;
        }
        buffer_done(&s->in);
        buffer_done(&s->out);
        free(s);
    }
    // Who runs the loop for one turn is to see what came of a line before it sleeps.
    if (host->dirty || host->waiting || host->handed)
        ev_idle_start(loop, &host->again);
    else
        ev_idle_stop(loop, &host->again);
}

static void stream_host_again(struct ev_loop *loop, struct ev_idle *w, int events) {
    // The turn that this makes is all there is to it.
}

int stream_host_new(struct ev_loop *loop, struct stream_host **ret_host) {
    int hup = epoll_create1(EPOLL_CLOEXEC);
    if (hup < 0)
        return -errno;
    struct stream_host *host = calloc(1, sizeof(*host));
    if (!host) {
        close(hup);
        return -ENOMEM;
    }
    host->loop = loop;
    ev_prepare_init(&host->prepare, stream_host_prepare);
    host->prepare.data = host;
    ev_set_priority(&host->prepare, EV_MINPRI); // after everybody else's prepare, so that their lines go out too
    ev_prepare_start(loop, &host->prepare);
    ev_unref(loop);
    ev_idle_init(&host->again, stream_host_again);
    ev_io_init(&host->hup, stream_on_hup, hup, EV_READ);
    ev_io_start(loop, &host->hup);
    ev_unref(loop);
    *ret_host = host;
    return 0;
}

uint64_t stream_host_turn(const struct stream_host *host) {
    return host->turn;
}

void stream_host_free(struct stream_host *host) {
    if (!host)
        return;
    while (host->dirty || host->waiting || host->dead)
        stream_host_prepare(host->loop, &host->prepare, 0);
    ev_idle_stop(host->loop, &host->again);
    ev_ref(host->loop);
    ev_prepare_stop(host->loop, &host->prepare);
    ev_ref(host->loop);
    ev_io_stop(host->loop, &host->hup);
    close(host->hup.fd);
    free(host);
}
