// lifecycle: how attempts end by themselves, and what becomes of their trees and streams.
#include "tests/unit/core/life.h"
#include "tests/unit/os/suite.h"

static struct life l;

static void setup(void) {
    life_begin(&l);
}

static void teardown(void) {
    spec_done(&l.spec);
}

START_TEST(nothing_is_due_without_a_deadline) {
    life_start(&l);
    NEXT_IS_NEVER(&l);
    ck_assert(isinf(lifecycle_left_timeout(&l.it, l.now)));
    ck_assert(isinf(lifecycle_left_idle(&l.it, l.now)));
    ck_assert(isinf(lifecycle_left_cpu(&l.it)));
}
END_TEST

// The three that a result needs, in every order: the last one makes it, and none before.
START_TEST(exit_tree_and_streams_in_any_order) {
    static const char orders[][4] = {"xts", "xst", "sxt"};
    for (size_t i = 0; i < 3; i++) {
        life_start(&l);
        for (int step = 0; step < 3; step++) {
            unsigned actions = orders[i][step] == 'x'   ? lifecycle_exit(&l.it, l.now)
                               : orders[i][step] == 't' ? lifecycle_tree_over(&l.it, l.now, true)
                                                        : lifecycle_streams_over(&l.it, l.now);
            ck_assert_msg(actions == (step == 2 ? LIFE_FINISH : 0), "%s at %d: %u", orders[i], step, actions);
        }
        ck_assert_int_eq(l.it.state, LIFE_FINAL);
        NEXT_IS_NEVER(&l);
    }
}
END_TEST

START_TEST(an_open_pipe_delays_the_result_by_the_drain_only) {
    static const enum spec_descendants policies[] = {DESCENDANTS_KILL, DESCENDANTS_KEEP};
    for (size_t i = 0; i < 2; i++) {
        l.spec.descendants = policies[i];
        l.now = 1000;
        life_start(&l);
        lifecycle_exit(&l.it, l.now);
        lifecycle_tree_over(&l.it, l.now, true);
        NEXT_IS(&l, 1000.1);
        ck_assert_uint_eq(life_until(&l, 1000.0999), 0);
        ck_assert_uint_eq(life_until(&l, 1000.2), LIFE_CLOSE | LIFE_FINISH);
    }
}
END_TEST

START_TEST(keep_does_not_wait_for_the_tree) {
    l.spec.descendants = DESCENDANTS_KEEP;
    life_start(&l);
    lifecycle_streams_over(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_exit(&l.it, l.now), LIFE_FINISH);
}
END_TEST

START_TEST(wait_waits_for_the_tree_then_drains) {
    l.spec.descendants = DESCENDANTS_WAIT;
    life_start(&l);
    ck_assert_uint_eq(lifecycle_exit(&l.it, l.now), 0);
    NEXT_IS_NEVER(&l);
    l.now = 5000;
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), 0);
    NEXT_IS(&l, 5000.1);
    ck_assert_uint_eq(life_until(&l, 5001), LIFE_CLOSE | LIFE_FINISH);
}
END_TEST

START_TEST(deadlines_run_on_while_the_tree_is_waited_for) {
    l.spec.descendants = DESCENDANTS_WAIT;
    l.spec.timeout = 10;
    life_start(&l);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(life_until(&l, 1010), LIFE_SIGNAL);
    ck_assert_uint_eq(life_until(&l, 1015), LIFE_KILL);
    lifecycle_streams_over(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), LIFE_FINISH);
}
END_TEST

START_TEST(a_tree_that_does_not_die_is_named_after_ten_seconds) {
    life_start(&l);
    lifecycle_streams_over(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_exit(&l.it, l.now), 0);
    NEXT_IS(&l, 1010);
    ck_assert_uint_eq(life_until(&l, 1009.9), 0);
    ck_assert_uint_eq(life_until(&l, 1010), LIFE_FINISH);
    ck_assert(!l.it.tree_over);
}
END_TEST

START_TEST(an_end_that_is_not_proven_is_remembered) {
    life_start(&l);
    lifecycle_streams_over(&l.it, l.now);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, false), LIFE_FINISH);
    ck_assert(l.it.unproven);
}
END_TEST

START_TEST(what_a_follower_holds_back_is_not_late) {
    life_start(&l);
    lifecycle_hold(&l.it, l.now, true);
    lifecycle_exit(&l.it, l.now);
    lifecycle_tree_over(&l.it, l.now, true);
    NEXT_IS_NEVER(&l);
    l.now = 2000;
    lifecycle_hold(&l.it, l.now, false);
    NEXT_IS(&l, 2000.1);
    ck_assert_uint_eq(lifecycle_streams_over(&l.it, l.now), LIFE_FINISH);
}
END_TEST

START_TEST(a_launch_that_fails_is_final_at_once) {
    life_init(&l);
    ck_assert_uint_eq(lifecycle_failed(&l.it, l.now), LIFE_CLOSE | LIFE_FINISH);
    ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
    NEXT_IS_NEVER(&l);
}
END_TEST

START_TEST(a_launch_that_hangs_is_killed_after_thirty_seconds) {
    life_init(&l);
    NEXT_IS(&l, 1030); // not yet begun: the queue's time is not the launch's
    lifecycle_begun(&l.it, 1005);
    NEXT_IS(&l, 1035);
    ck_assert_uint_eq(life_until(&l, 1034.9), 0);
    ck_assert_uint_eq(life_until(&l, 1035), LIFE_KILL);
    ck_assert(l.it.launch_expired);
    NEXT_IS_NEVER(&l);
    ck_assert_uint_eq(lifecycle_failed(&l.it, l.now), LIFE_CLOSE | LIFE_FINISH);
}
END_TEST

struct walk {
    bool started, ended, streams, tree, held;
};

// One event, if it can come now. Returns the actions.
static unsigned walk_step(struct walk *w, unsigned *seed) {
    bool open = l.it.state != LIFE_FINAL;
    switch (rand_r(seed) % 9) {
    case 0:
        if (w->started || l.it.state != LIFE_STARTING)
            return 0;
        w->started = true;
        return lifecycle_started(&l.it, l.now);
    case 1:
        if (!w->started || w->ended || !open)
            return 0;
        w->ended = true;
        return lifecycle_exit(&l.it, l.now);
    case 2:
        if (!w->ended || w->tree || !open)
            return 0;
        w->tree = true;
        return lifecycle_tree_over(&l.it, l.now, true);
    case 3:
        if (!w->started || w->streams || !open)
            return 0;
        w->streams = true;
        return lifecycle_streams_over(&l.it, l.now);
    case 4:
        return lifecycle_stop(&l.it, l.now, by_client, 15, rand_r(seed) % 4);
    case 5:
        lifecycle_hold(&l.it, l.now, w->held = !w->held);
        return 0;
    case 6:
        if (w->started)
            lifecycle_output(&l.it, l.now);
        return 0;
    default:
        return life_until(&l, l.now);
    }
}

// Any order of events, however odd: one result, after it nothing, and the timer always gets on.
START_TEST(random_walks_end_once) {
    unsigned seed = 1;
    int ends = 0;
    for (int round = 0; round < 20000; round++) {
        l.spec.timeout = rand_r(&seed) % 3 ? 0 : 1 + rand_r(&seed) % 20;
        l.spec.idle_timeout = rand_r(&seed) % 3 ? 0 : 1 + rand_r(&seed) % 5;
        l.spec.cpu_timeout = rand_r(&seed) % 3 ? 0 : 1;
        l.spec.grace = rand_r(&seed) % 4;
        l.spec.descendants = (enum spec_descendants)(rand_r(&seed) % 3);
        l.now = 1000;
        life_init(&l);
        struct walk walk = {0};
        int finished = 0;
        for (int step = 0; step < 60; step++) {
            l.now += (rand_r(&seed) % 1000) / 500.0;
            unsigned actions = walk_step(&walk, &seed);
            if (finished)
                ck_assert_uint_eq(actions, 0);
            finished += (actions & LIFE_FINISH) != 0;
            ck_assert_int_eq(finished, l.it.state == LIFE_FINAL);
        }
        ends += finished;
    }
    ck_assert_int_gt(ends, 5000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lifecycle: ends");
    TCase *group = suite_case(suite, "ends", setup, teardown);
    tcase_add_test(group, nothing_is_due_without_a_deadline);
    tcase_add_test(group, exit_tree_and_streams_in_any_order);
    tcase_add_test(group, an_open_pipe_delays_the_result_by_the_drain_only);
    tcase_add_test(group, keep_does_not_wait_for_the_tree);
    tcase_add_test(group, wait_waits_for_the_tree_then_drains);
    tcase_add_test(group, deadlines_run_on_while_the_tree_is_waited_for);
    tcase_add_test(group, a_tree_that_does_not_die_is_named_after_ten_seconds);
    tcase_add_test(group, an_end_that_is_not_proven_is_remembered);
    tcase_add_test(group, what_a_follower_holds_back_is_not_late);
    tcase_add_test(group, a_launch_that_fails_is_final_at_once);
    tcase_add_test(group, a_launch_that_hangs_is_killed_after_thirty_seconds);
    tcase_add_test(group, random_walks_end_once);
    return suite_run(suite);
}
