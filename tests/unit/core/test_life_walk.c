// lifecycle: any order of events, however odd, keeps the promises and comes to one end.
#include "common/util.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/core/life.h"
#include "tests/unit/suite.h"

enum { WALKS = 100000, STEPS = 40 };

// What happened in one walk, by the test's own book.
struct walk {
    struct life l;
    unsigned seed;
    bool begun, started, failed, exited, tree, streams, held;
    bool killed_unborn; // SIGKILL before the start: it is sent once more when the launch comes through
    double tree_at;     // when the tree was told to be over
    int finishes, kills, signals, closes;
};

static int pick(struct walk *w, int below) {
    return rand_r(&w->seed) % below;
}

static bool tree_awaited(const struct walk *w) {
    return !w->tree && w->l.spec.descendants != DESCENDANTS_KEEP;
}

// A result is made when nothing is missing, or when what is missing had its time.
static void check_finish(const struct walk *w) {
    const struct lifecycle *it = &w->l.it;
    HOLDS(w->failed || w->exited);
    if (w->failed)
        return;
    HOLDS(w->streams || w->closes > 0);
    HOLDS(!tree_awaited(w) || w->l.now >= it->ended + LIFECYCLE_UNKILLABLE);
    if (w->l.spec.descendants == DESCENDANTS_WAIT && !w->tree)
        HOLDS(it->killed);
}

// The streams are closed by their drain or with a tree that can't be killed, never before.
static void check_close(const struct walk *w) {
    HOLDS(!w->streams);
    if (w->failed)
        return;
    HOLDS(w->exited);
    double from = w->l.spec.descendants == DESCENDANTS_WAIT && w->tree ? w->tree_at : w->l.it.ended;
    HOLDS(w->l.now >= from + LIFECYCLE_DRAIN - 1e-6);
    if (w->l.spec.descendants == DESCENDANTS_WAIT && !w->tree)
        HOLDS(w->l.it.killed);
}

// Takes note of what an event asked for. `was`: the lifecycle before it.
static void note(struct walk *w, const struct lifecycle *was, unsigned actions) {
    const struct lifecycle *it = &w->l.it;
    if (was->state == LIFE_FINAL) {
        HOLDS(actions == 0);
        HOLDS(it->state == LIFE_FINAL);
        return;
    }
    w->finishes += (actions & LIFE_FINISH) != 0;
    w->closes += (actions & LIFE_CLOSE) != 0;
    w->signals += (actions & LIFE_SIGNAL) != 0;
    w->kills += (actions & LIFE_KILL) != 0;
    HOLDS(w->finishes == (it->state == LIFE_FINAL));
    if ((actions & LIFE_CLOSE) && was->closed) // said again with the result of a tree that can't be killed
        HOLDS(actions == (LIFE_CLOSE | LIFE_FINISH));
    HOLDS(w->signals <= 1);
    if ((actions & LIFE_KILL) && !w->started)
        w->killed_unborn = true;
    HOLDS(w->kills <= 1 + (w->killed_unborn && w->started));
    HOLDS((w->kills > 0) == it->killed);
    if (was->killed)
        HOLDS((actions & LIFE_SIGNAL) == 0);
    if (actions & LIFE_CANCEL)
        HOLDS(was->state == LIFE_STARTING);
    if (actions & LIFE_CHECK_CPU)
        HOLDS(w->l.spec.cpu_timeout > 0 && !was->stopping);
    if (was->cause.reason != REASON_NONE || was->state == LIFE_ENDED)
        HOLDS(memcmp(&it->cause, &was->cause, sizeof(was->cause)) == 0);
    HOLDS(it->kill_at <= was->kill_at);
    HOLDS(it->last_output <= w->l.now + 1e-6);
    if (actions & LIFE_CLOSE)
        check_close(w);
    if (actions & LIFE_FINISH)
        check_finish(w);
}

// The timer up to `at`, one instant at a time. Then nothing is due any more.
static void run_until(struct walk *w, double at) {
    for (int steps = 0;; steps++) {
        struct lifecycle was = w->l.it;
        unsigned actions = 0;
        w->l.cpu += was.state == LIFE_RUNNING ? pick(w, 100) * 1e-3 : 0;
        if (!life_step(&w->l, at, &actions))
            break;
        note(w, &was, actions);
        HOLDS(steps < 100000);
    }
    w->l.now = at;
    const struct lifecycle *it = &w->l.it;
    HOLDS(lifecycle_next(it, at) > at);
    HOLDS(it->state == LIFE_FINAL || it->killed || it->kill_at > at);
    if (it->state == LIFE_FINAL)
        HOLDS(isinf(lifecycle_next(it, at)));
}

static unsigned launch_event(struct walk *w) {
    struct lifecycle *it = &w->l.it;
    if (w->started || w->failed)
        return 0;
    if (!w->begun && pick(w, 2)) {
        w->begun = true;
        return lifecycle_begun(it, w->l.now - 0.01);
    }
    if (pick(w, 8) == 0) {
        w->failed = true;
        return lifecycle_failed(it, w->l.now);
    }
    w->begun = w->started = true;
    return lifecycle_started(it, w->l.now);
}

static unsigned exit_event(struct walk *w) {
    if (!w->started || w->exited)
        return 0;
    w->exited = true;
    return lifecycle_exit(&w->l.it, w->l.now);
}

static unsigned tree_event(struct walk *w) {
    if (!w->started || w->tree)
        return 0;
    w->tree = true;
    w->tree_at = w->l.now;
    return lifecycle_tree_over(&w->l.it, w->l.now, pick(w, 2));
}

static unsigned streams_event(struct walk *w) {
    if (!w->started || w->streams)
        return 0;
    w->streams = true;
    return lifecycle_streams_over(&w->l.it, w->l.now);
}

static unsigned stop_event(struct walk *w) {
    static const int signals[] = {15, 15, 2, 9};
    struct cause cause = {(enum reason)pick(w, REASON_COUNT), (enum killer)pick(w, 4), pick(w, 3)};
    return lifecycle_stop(&w->l.it, w->l.now, cause, signals[pick(w, 4)], pick(w, 8) / 2.0);
}

static unsigned hold_event(struct walk *w) {
    if (!w->started)
        return 0;
    w->held = pick(w, 2);
    lifecycle_hold(&w->l.it, w->l.now, w->held);
    return 0;
}

static unsigned output_event(struct walk *w) {
    if (w->started && !w->streams) // of the one stream, though the other be held
        lifecycle_output(&w->l.it, w->l.now);
    return 0;
}

static void event(struct walk *w) {
    static unsigned (*const events[])(struct walk *) = {
        launch_event, launch_event, exit_event, tree_event, streams_event, stop_event, hold_event, output_event,
    };
    struct lifecycle was = w->l.it;
    note(w, &was, events[pick(w, ARRAY_SIZE(events))](w));
}

static void walk_begin(struct walk *w) {
    life_begin(&w->l);
    w->l.spec.timeout = pick(w, 3) ? 0 : 0.1 + pick(w, 200) / 10.0;
    w->l.spec.idle_timeout = pick(w, 3) ? 0 : 0.1 + pick(w, 50) / 10.0;
    w->l.spec.cpu_timeout = pick(w, 3) ? 0 : 0.05 + pick(w, 10) / 10.0;
    w->l.spec.grace = pick(w, 8) / 2.0;
    w->l.spec.descendants = (enum spec_descendants)pick(w, 3);
    life_init(&w->l);
}

// The leader ends and whoever held lets go; the tree and the streams may stay for ever. The result comes all the same.
static void walk_end(struct walk *w) {
    while (!w->started && !w->failed) {
        struct lifecycle was = w->l.it;
        note(w, &was, launch_event(w));
    }
    struct lifecycle was = w->l.it;
    note(w, &was, exit_event(w));
    lifecycle_hold(&w->l.it, w->l.now, w->held = false);
    was = w->l.it;
    if (w->l.spec.descendants == DESCENDANTS_WAIT && !w->tree) // nothing else would end the wait
        note(w, &was, lifecycle_stop(&w->l.it, w->l.now, by_client, 15, 1));
    run_until(w, w->l.now + 1 + LIFECYCLE_UNKILLABLE + 10);
    HOLDS(w->finishes == 1);
}

START_TEST(walks_end_once) {
    unsigned seed = 1;
    long early = 0, by_tree = 0, unkillable = 0, causes[REASON_COUNT] = {0};
    for (int i = 0; i < WALKS; i++) {
        struct walk w = {.seed = (unsigned)rand_r(&seed)};
        walk_begin(&w);
        for (int step = 0, steps = pick(&w, STEPS); step < steps; step++) {
            double to = w.l.now + pick(&w, 1000) / 500.0;
            if (pick(&w, 4))
                run_until(&w, to);
            else
                w.l.now = to; // the event is seen before a timer that is late
            event(&w);
        }
        early += w.finishes;
        walk_end(&w);
        by_tree += w.exited && w.tree;
        unkillable += w.exited && tree_awaited(&w);
        if (w.l.it.cause.reason >= 0)
            causes[w.l.it.cause.reason]++;
        spec_done(&w.l.spec);
    }
    // The walks get about: none of these ways is left out.
    ck_assert_int_gt(early, WALKS / 10);
    ck_assert_int_gt(by_tree, WALKS / 10);
    ck_assert_int_gt(unkillable, WALKS / 100);
    ck_assert_int_gt(causes[REASON_TIMEOUT], WALKS / 100);
    ck_assert_int_gt(causes[REASON_IDLE_TIMEOUT], WALKS / 100);
    ck_assert_int_gt(causes[REASON_CPU_TIMEOUT], WALKS / 100);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lifecycle: walks");
    TCase *group = suite_case(suite, "walks", NULL, NULL);
    tcase_add_test(group, walks_end_once);
    return suite_run(suite);
}
