// life: a lifecycle on a clock that is a number, and what it asked for so far.
#pragma once

#include <check.h>
#include <math.h>

#include "daemon/core/lifecycle.h"
#include "tests/unit/core/holds.h"

struct life {
    struct spec spec;
    struct lifecycle it;
    double now;
    double cpu; // what a look at the CPU clock finds
};

static const struct cause by_client = {REASON_KILLED, KILLER_CLIENT, 1000};
static const struct cause by_lease = {REASON_KILLED, KILLER_LEASE, 1000};

static inline void life_begin(struct life *l) {
    spec_init(&l->spec);
    l->now = 1000;
    l->cpu = 0;
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

// What is due at `at` or before it: sets the clock to the first such instant and adds what is then asked for.
// False: nothing is.
static inline bool life_step(struct life *l, double at, unsigned *actions) {
    double next = lifecycle_next(&l->it, l->now);
    HOLDS(!isnan(next));
    if (next > at)
        return false;
    l->now = fmax(next, l->now);
    unsigned due = lifecycle_time(&l->it, l->now);
    if (due & LIFE_CHECK_CPU)
        due |= lifecycle_cpu(&l->it, l->now, l->cpu, 0);
    *actions |= due;
    return true;
}

// Lets the clock run to `at`, as the runner's timer does: every instant asked for on the way is visited.
static inline unsigned life_until(struct life *l, double at) {
    unsigned actions = 0;
    for (int steps = 0; life_step(l, at, &actions); steps++)
        HOLDS(steps < 100000); // else the timer never gets on
    l->now = at;
    return actions;
}

#define NEXT_IS(l, at) ck_assert_double_eq_tol(lifecycle_next(&(l)->it, (l)->now), (at), 1e-6)
#define NEXT_IS_NEVER(l) ck_assert(isinf(lifecycle_next(&(l)->it, (l)->now)))
