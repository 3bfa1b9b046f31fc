// Giving memory back.
#include "daemon/rest.h"

#include <malloc.h>

#include "daemon/parts.h"
#include "daemon/store/history.h"

enum { JOBS = 16 };    // fewer leave nothing to speak of
#define REST_AFTER 2.0 // seconds

static void on_rest(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    if (w->history && history_waiting(w->history) > 0) { // they still take memory
        rest_later(w);
        return;
    }
    w->rest.accepted = runner_stats(w->runner)->accepted;
    kept_trim(w->kept);
    malloc_trim(0);
}

void rest_init(struct worker *w) {
    ev_timer_init(&w->rest.timer, on_rest, REST_AFTER, 0);
    w->rest.timer.data = w;
}

void rest_later(struct worker *w) {
    if (ev_is_active(&w->rest.timer) || runner_stats(w->runner)->accepted - w->rest.accepted < JOBS)
        return;
    ev_timer_set(&w->rest.timer, REST_AFTER, 0);
    ev_timer_start(w->loop, &w->rest.timer);
}
