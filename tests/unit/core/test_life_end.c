// lifecycle: how attempts end by themselves, and what becomes of their trees and streams.
#include "tests/unit/core/life.h"
#include "tests/unit/suite.h"

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
    static const char orders[][4] = {"xts", "xst", "sxt", "stx", "txs", "tsx"};
    for (size_t i = 0; i < 6; i++) {
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

START_TEST(a_proof_stands_whatever_is_told_later) {
    life_start(&l);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), 0);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, false), 0); // the next worker, which was told nothing
    ck_assert_uint_eq(lifecycle_streams_over(&l.it, l.now), LIFE_FINISH);
    ck_assert(!l.it.unproven);
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

// Where nothing ends the job from outside the reason is how the leader ended.
START_TEST(an_exit_alone_has_no_cause) {
    life_start(&l);
    ck_assert_int_eq(l.it.state, LIFE_RUNNING);
    lifecycle_streams_over(&l.it, l.now);
    l.now = 1003;
    ck_assert_uint_eq(lifecycle_exit(&l.it, l.now), 0);
    ck_assert_int_eq(l.it.state, LIFE_ENDED);
    l.now = 1004;
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), LIFE_FINISH);
    ck_assert(!l.it.unproven);
    ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
    ck_assert_int_eq(l.it.cause.killer, KILLER_NONE);
    ck_assert_int_eq(l.it.cause.uid, -1);
}
END_TEST

START_TEST(keep_drains_from_the_leaders_end) {
    l.spec.descendants = DESCENDANTS_KEEP;
    life_start(&l);
    l.now = 1007;
    ck_assert_uint_eq(lifecycle_exit(&l.it, l.now), 0);
    NEXT_IS(&l, 1007.1);
    ck_assert_uint_eq(life_until(&l, 1007.1), LIFE_CLOSE | LIFE_FINISH);
    ck_assert_uint_eq(lifecycle_streams_over(&l.it, l.now), 0);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), 0); // it is not waited for, but may end
}
END_TEST

// The streams are closed at the drain's end; the result still waits for the tree.
START_TEST(kill_drains_from_the_leaders_end_and_waits_for_the_tree) {
    life_start(&l);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(life_until(&l, 1000.1), LIFE_CLOSE);
    NEXT_IS(&l, 1010);
    l.now = 1002;
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), LIFE_FINISH);
}
END_TEST

START_TEST(wait_has_no_end_without_a_deadline) {
    l.spec.descendants = DESCENDANTS_WAIT;
    life_start(&l);
    lifecycle_streams_over(&l.it, l.now);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(life_until(&l, 1e6), 0);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 5), LIFE_SIGNAL);
    ck_assert_uint_eq(life_until(&l, 1e6 + 5), LIFE_KILL);
    NEXT_IS(&l, 1e6 + 15); // what SIGKILL does not end is named
    ck_assert_uint_eq(life_until(&l, 1e6 + 15), LIFE_FINISH);
}
END_TEST

START_TEST(deadlines_are_over_with_the_leader_unless_its_tree_is_waited_for) {
    static const enum spec_descendants policies[] = {DESCENDANTS_KILL, DESCENDANTS_KEEP};
    l.spec.timeout = l.spec.idle_timeout = l.spec.cpu_timeout = 0.05; // all within the drain
    for (size_t i = 0; i < 2; i++) {
        l.spec.descendants = policies[i];
        l.now = 1000;
        life_start(&l);
        lifecycle_exit(&l.it, l.now);
        NEXT_IS(&l, 1000.1);
        ck_assert(isinf(lifecycle_left_timeout(&l.it, l.now)));
        ck_assert(isinf(lifecycle_left_idle(&l.it, l.now)));
        ck_assert(isinf(lifecycle_left_cpu(&l.it)));
        ck_assert_uint_eq(life_until(&l, 1000.1) & (LIFE_SIGNAL | LIFE_KILL | LIFE_CHECK_CPU), 0);
        ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
    }
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
    tcase_add_test(group, a_proof_stands_whatever_is_told_later);
    tcase_add_test(group, what_a_follower_holds_back_is_not_late);
    tcase_add_test(group, an_exit_alone_has_no_cause);
    tcase_add_test(group, keep_drains_from_the_leaders_end);
    tcase_add_test(group, kill_drains_from_the_leaders_end_and_waits_for_the_tree);
    tcase_add_test(group, wait_has_no_end_without_a_deadline);
    tcase_add_test(group, deadlines_are_over_with_the_leader_unless_its_tree_is_waited_for);
    tcase_add_test(group, a_launch_that_fails_is_final_at_once);
    tcase_add_test(group, a_launch_that_hangs_is_killed_after_thirty_seconds);
    return suite_run(suite);
}
