// Giving memory back.
#include "daemon/rest.h"

#include <malloc.h>

#include "daemon/parts.h"
#include "daemon/store/history.h"

enum { JOBS = 16 };    // fewer leave nothing to speak of
#define REST_AFTER 2.0 // seconds

static void rest_arm(struct worker *w) {
    ev_timer_set(&w->rest.timer, REST_AFTER, 0);
    ev_timer_start(w->loop, &w->rest.timer);
}

static bool is_written(const struct worker *w) {
    return !w->history || history_waiting(w->history) == 0 || history_trouble(w->history);
}

// In the middle of a flood it is done now and then; the last time once nothing has come for a while, as what then was under
// way holds pages that are free now.
static void on_rest(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    int64_t accepted = runner_stats(w->runner)->accepted;
    bool is_over = accepted == w->rest.seen && is_written(w);
    w->rest.seen = accepted;
    if (is_over || accepted - w->rest.trimmed >= JOBS) {
        w->rest.trimmed = accepted;
        kept_trim(w->kept);
        malloc_trim(0);
    }
    if (!is_over)
        rest_arm(w);
}

void rest_init(struct worker *w) {
    ev_init(&w->rest.timer, on_rest);
    w->rest.timer.data = w;
}

void rest_later(struct worker *w) {
    if (!ev_is_active(&w->rest.timer) && runner_stats(w->runner)->accepted - w->rest.trimmed >= JOBS)
        rest_arm(w);
}
