// The last moment before the loop sleeps.
#include "common/watch.h"

#include <stdio.h>

#include "common/util.h"

enum { A_WHILE = 1000 }; // microseconds

// libev makes its epoll descriptor anew where the kernel tells of one that is closed here and open in a child (of a terminal,
// say). It has closed the old one just before: where there is none to be had, another thread has it for a moment. It asks
// again behind this; all else there is no way to go on with.
static void on_trouble(const char *what) EV_NOEXCEPT {
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM) {
        perror(what);
        abort();
    }
    usleep(A_WHILE);
}

static void on_nudge(struct ev_loop *loop, struct ev_async *nudge, int events) {
    // That it wakes the loop is all.
}

static void before_sleep(struct ev_loop *loop) EV_NOEXCEPT {
    if (ev_pending_count(loop) > 0)
        ev_async_send(loop, ev_userdata(loop));
}

static void after_sleep(struct ev_loop *loop) EV_NOEXCEPT {
}

void watch_init(struct ev_loop *loop, struct ev_async *nudge) {
    ev_async_init(nudge, on_nudge);
    ev_async_start(loop, nudge);
    ev_unref(loop);
    ev_set_userdata(loop, nudge);
    ev_set_syserr_cb(on_trouble);
    ev_set_loop_release_cb(loop, before_sleep, after_sleep);
}
