// life: a lifecycle on a clock that is a number, and what it asked for so far.
#pragma once

#include <check.h>
#include <math.h>

#include "daemon/core/lifecycle.h"

struct life {
    struct spec spec;
    struct lifecycle it;
    double now;
};

static const struct cause by_client = {REASON_KILLED, KILLER_CLIENT, 1000};
static const struct cause by_lease = {REASON_KILLED, KILLER_LEASE, 1000};

static inline void life_begin(struct life *l) {
    spec_init(&l->spec);
    l->now = 1000;
}

static inline void life_init(struct life *l) {
    lifecycle_init(&l->it, &l->spec, 2);
}

// Started at 1000; the clone was made at 999.99.
static inline void life_start(struct life *l) {
    life_init(l);
    lifecycle_begun(&l->it, 999.99);
    ck_assert_uint_eq(lifecycle_started(&l->it, l->now), 0);
}

// Lets the clock run to `at`, as the runner's timer does: every instant asked for on the way is visited.
static inline unsigned life_until(struct life *l, double at) {
    unsigned actions = 0;
    for (int steps = 0;; steps++) {
        double next = lifecycle_next(&l->it, l->now);
        ck_assert_msg(steps < 100000, "the timer never gets on: %f at %f", next, l->now);
        if (next > at)
            break;
        l->now = fmax(next, l->now);
        unsigned now = lifecycle_time(&l->it, l->now);
        if (now & LIFE_CHECK_CPU)
            now |= lifecycle_cpu(&l->it, l->now, l->it.cpu_used);
        actions |= now;
    }
    l->now = at;
    return actions;
}

#define NEXT_IS(l, at) ck_assert_double_eq_tol(lifecycle_next(&(l)->it, (l)->now), (at), 1e-6)
#define NEXT_IS_NEVER(l) ck_assert(isinf(lifecycle_next(&(l)->it, (l)->now)))
