// The states of one attempt. Pure.
#include "daemon/core/lifecycle.h"

#include <math.h>

#include "common/util.h"

void lifecycle_init(struct lifecycle *life, const struct spec *spec, int cpus) {
    *life = (struct lifecycle){
        .timeout = spec->timeout,
        .idle_timeout = spec->idle_timeout,
        .cpu_timeout = spec->cpu_timeout,
        .descendants = spec->descendants,
        .stop_signal = spec->stop_signal,
        .grace = spec->grace,
        .cpus = MAX(cpus, 1),
        .cause = {.reason = REASON_NONE, .uid = -1},
        .kill_at = INFINITY,
    };
}

// Deadlines run while the leader lives, and while its tree is waited for.
static bool deadlines_run(const struct lifecycle *l) {
    return l->state == LIFE_STARTING || l->state == LIFE_RUNNING ||
           (l->state == LIFE_ENDED && l->descendants == DESCENDANTS_WAIT && !l->tree_over);
}

static double timeout_at(const struct lifecycle *l, double now) {
    if (l->timeout <= 0 || !deadlines_run(l))
        return INFINITY;
    return (l->begun > 0 ? l->begun : now) + l->timeout;
}

static double idle_at(const struct lifecycle *l) {
    bool applies = l->idle_timeout > 0 && l->state != LIFE_STARTING && deadlines_run(l) && l->held_since <= 0;
    return applies ? l->last_output + l->idle_timeout : INFINITY;
}

// The drain counts from the leader's end; where the tree is waited for, from the tree's. What a follower holds
// back in the pipes is not late: the drain begins when it lets go.
static double drain_at(const struct lifecycle *l) {
    if (l->state != LIFE_ENDED || l->closed || l->streams_over || l->held_since > 0)
        return INFINITY;
    if (l->descendants != DESCENDANTS_WAIT)
        return MAX(l->ended, l->released) + LIFECYCLE_DRAIN;
    return l->tree_over ? MAX(l->tree_over_at, l->released) + LIFECYCLE_DRAIN : INFINITY;
}

static double unkillable_at(const struct lifecycle *l) {
    bool dying = l->descendants == DESCENDANTS_KILL || (l->killed && l->descendants == DESCENDANTS_WAIT);
    if (l->state != LIFE_ENDED || !dying || l->tree_over)
        return INFINITY;
    return (l->killed && l->kill_at != INFINITY ? MAX(l->ended, l->kill_at) : l->ended) + LIFECYCLE_UNKILLABLE;
}

static double launch_at(const struct lifecycle *l, double now) {
    if (l->state != LIFE_STARTING || l->launch_expired)
        return INFINITY;
    return (l->begun > 0 ? l->begun : now) + LIFECYCLE_LAUNCH;
}

static double cpu_at(const struct lifecycle *l) {
    return l->cpu_timeout > 0 && l->state != LIFE_STARTING && deadlines_run(l) ? l->cpu_next : INFINITY;
}

double lifecycle_next(const struct lifecycle *l, double now) {
    if (l->state == LIFE_FINAL)
        return INFINITY;
    double next = MIN(drain_at(l), unkillable_at(l));
    next = MIN(next, launch_at(l, now));
    if (!l->killed)
        next = MIN(next, l->kill_at);
    if (!l->stopping)
        next = MIN(next, MIN(MIN(timeout_at(l, now), idle_at(l)), cpu_at(l)));
    return next;
}

// What is left to do once the leader has ended: the result when everything is in, or its time is over.
static unsigned settle(struct lifecycle *l, double now) {
    if (l->state != LIFE_ENDED)
        return 0;
    bool tree_done = l->tree_over || l->descendants == DESCENDANTS_KEEP || now >= unkillable_at(l);
    unsigned actions = 0;
    if (now >= drain_at(l) || (tree_done && !l->streams_over && now >= unkillable_at(l))) {
        l->closed = true;
        actions |= LIFE_CLOSE;
    }
    if (!tree_done || !(l->streams_over || l->closed))
        return actions;
    l->state = LIFE_FINAL;
    return actions | LIFE_FINISH;
}

unsigned lifecycle_begun(struct lifecycle *l, double at) {
    if (l->state == LIFE_STARTING && l->begun <= 0)
        l->begun = at;
    return 0;
}

static unsigned kill_now(struct lifecycle *l, double now) {
    l->killed = true;
    l->kill_at = MIN(l->kill_at, now);
    l->signal_pending = false;
    return LIFE_KILL;
}

unsigned lifecycle_started(struct lifecycle *l, double now) {
    if (l->begun <= 0)
        l->begun = now;
    l->state = LIFE_RUNNING;
    l->last_output = now;
    l->cpu_step = LIFECYCLE_CPU_STEP;
    l->cpu_next = now + MAX(l->cpu_timeout / l->cpus, LIFECYCLE_CPU_STEP);
    if (l->killed)
        return LIFE_KILL; // the launch outran it
    if (!l->signal_pending)
        return 0;
    l->signal_pending = false;
    return LIFE_SIGNAL;
}

unsigned lifecycle_failed(struct lifecycle *l, double now) {
    l->state = LIFE_FINAL;
    l->closed = true;
    return LIFE_CLOSE | LIFE_FINISH;
}

unsigned lifecycle_stop(struct lifecycle *l, double now, struct cause cause, int signal, double grace) {
    if (l->state == LIFE_FINAL)
        return 0;
    if (l->state != LIFE_ENDED && l->cause.reason == REASON_NONE)
        l->cause = cause;
    unsigned actions = l->state == LIFE_STARTING ? LIFE_CANCEL : 0;
    bool first = !l->stopping;
    l->stopping = true;
    l->kill_at = MIN(l->kill_at, now + grace);
    if (l->killed)
        return actions;
    if (grace <= 0 || signal == 9)
        return actions | kill_now(l, now);
    if (!first)
        return actions;
    l->signal = signal;
    if (l->state != LIFE_STARTING)
        return actions | LIFE_SIGNAL;
    l->signal_pending = true;
    return actions;
}

static unsigned stop_for(struct lifecycle *l, double now, enum reason reason) {
    struct cause cause = {.reason = reason, .killer = KILLER_NONE, .uid = -1};
    return lifecycle_stop(l, now, cause, l->stop_signal, l->grace);
}

unsigned lifecycle_exit(struct lifecycle *l, double now) {
    l->state = LIFE_ENDED;
    l->ended = now;
    return settle(l, now);
}

unsigned lifecycle_tree_over(struct lifecycle *l, double now, bool proven) {
    if (!l->tree_over) { // the next worker may be told again of what it knows
        l->tree_over = true;
        l->tree_over_at = now;
        l->unproven = !proven;
    }
    return settle(l, now);
}

unsigned lifecycle_streams_over(struct lifecycle *l, double now) {
    l->streams_over = true;
    return settle(l, now);
}

unsigned lifecycle_time(struct lifecycle *l, double now) {
    unsigned actions = 0;
    if (!l->killed && now >= l->kill_at)
        actions |= kill_now(l, now);
    if (now >= launch_at(l, now)) {
        l->launch_expired = true;
        if (!l->killed)
            actions |= kill_now(l, now);
    }
    if (!l->stopping && now >= timeout_at(l, now))
        actions |= stop_for(l, now, REASON_TIMEOUT);
    if (!l->stopping && now >= idle_at(l))
        actions |= stop_for(l, now, REASON_IDLE_TIMEOUT);
    if (!l->stopping && now >= cpu_at(l)) {
        l->cpu_next = now + l->cpu_step; // until lifecycle_cpu() says better
        actions |= LIFE_CHECK_CPU;
    }
    return actions | settle(l, now);
}

// CPU time has no event of its own: the next look is when all processors together could have used up what
// is left. A tree that uses nothing is looked at ever more rarely, up to once a second; and a large one, where a look takes
// long, so that others find time between.
unsigned lifecycle_cpu(struct lifecycle *l, double now, double used, double cost) {
    if (!deadlines_run(l))
        return 0;
    if (used >= l->cpu_timeout)
        return l->stopping ? 0 : stop_for(l, now, REASON_CPU_TIMEOUT);
    used = MAX(used, l->cpu_used); // what is known at least
    bool quiet = used - l->cpu_used < 0.001;
    l->cpu_used = used;
    l->cpu_step = quiet ? MIN(l->cpu_step * 2, 1.0) : LIFECYCLE_CPU_STEP;
    l->cpu_next = now + MAX((l->cpu_timeout - used) / l->cpus,
                            MAX(l->cpu_step, MIN(cost * LIFECYCLE_CPU_REST, LIFECYCLE_CPU_MOST)));
    return 0;
}

unsigned lifecycle_update(struct lifecycle *l, double now, double timeout, double idle_timeout) {
    if (timeout >= 0) // it counts from the launch
        l->timeout = timeout > 0 && l->begun > 0 ? now - l->begun + timeout : timeout;
    if (idle_timeout >= 0) {
        l->idle_timeout = idle_timeout;
        l->last_output = now;
    }
    return 0;
}

void lifecycle_output(struct lifecycle *l, double now) {
    l->last_output = now;
}

void lifecycle_hold(struct lifecycle *l, double now, bool held) {
    if (held == (l->held_since > 0))
        return;
    if (!held) {
        l->last_output += now - MAX(l->held_since, l->last_output); // the other stream may have spoken meanwhile
        l->released = now;
    }
    l->held_since = held ? now : 0;
}

static double left(double at, double now) {
    return at == INFINITY ? INFINITY : MAX(at - now, 0);
}

double lifecycle_left_timeout(const struct lifecycle *l, double now) {
    return left(timeout_at(l, now), now);
}

double lifecycle_left_idle(const struct lifecycle *l, double now) {
    return left(idle_at(l), now);
}

double lifecycle_left_cpu(const struct lifecycle *l) {
    return l->cpu_timeout > 0 && deadlines_run(l) ? MAX(l->cpu_timeout - l->cpu_used, 0) : INFINITY;
}
