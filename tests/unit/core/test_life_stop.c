// lifecycle: deadlines and kills, and which of them is the reason.
#include "tests/unit/core/life.h"
#include "tests/unit/suite.h"

static struct life l;

static void setup(void) {
    life_begin(&l);
}

static void teardown(void) {
    spec_done(&l.spec);
}

static void end(void) {
    lifecycle_streams_over(&l.it, l.now);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_tree_over(&l.it, l.now, true), LIFE_FINISH);
}

START_TEST(timeout_then_signal_then_kill_at_grace) {
    l.spec.timeout = 3;
    life_start(&l);
    NEXT_IS(&l, 1002.99); // from the clone, not from the exec
    ck_assert_double_eq_tol(lifecycle_left_timeout(&l.it, 1001), 1.99, 1e-6);
    ck_assert_uint_eq(life_until(&l, 1002.98), 0);
    ck_assert_uint_eq(life_until(&l, 1002.99), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.signal, 15);
    NEXT_IS(&l, 1007.99);
    ck_assert_uint_eq(life_until(&l, 1007.98), 0);
    ck_assert_uint_eq(life_until(&l, 1007.99), LIFE_KILL);
    NEXT_IS_NEVER(&l);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_TIMEOUT);
}
END_TEST

START_TEST(grace_0_kills_at_once_and_nothing_else) {
    l.spec.timeout = 3;
    l.spec.grace = 0;
    life_start(&l);
    ck_assert_uint_eq(life_until(&l, 1003), LIFE_KILL);
    NEXT_IS_NEVER(&l);
}
END_TEST

START_TEST(output_puts_off_the_idle_timeout_only) {
    l.spec.idle_timeout = 2;
    l.spec.timeout = 5;
    life_start(&l);
    for (int i = 1; i <= 4; i++) {
        ck_assert_uint_eq(life_until(&l, 1000 + i), 0);
        lifecycle_output(&l.it, l.now);
    }
    ck_assert_uint_eq(life_until(&l, 1005), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.cause.reason, REASON_TIMEOUT);
}
END_TEST

START_TEST(silence_is_idle_timeout) {
    l.spec.idle_timeout = 2;
    life_start(&l);
    lifecycle_output(&l.it, 1001);
    NEXT_IS(&l, 1003);
    ck_assert_uint_eq(life_until(&l, 1003), LIFE_SIGNAL);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_IDLE_TIMEOUT);
}
END_TEST

START_TEST(idle_timeout_stands_still_while_held_back) {
    l.spec.idle_timeout = 2;
    life_start(&l);
    l.now = 1001;
    lifecycle_hold(&l.it, l.now, true);
    NEXT_IS_NEVER(&l);
    l.now = 1100;
    lifecycle_hold(&l.it, l.now, false);
    NEXT_IS(&l, 1101); // the one second that was left
}
END_TEST

// One stream is held back while the other speaks: the silence counts from its last word or the release.
START_TEST(output_while_held_back_puts_off_nothing_twice) {
    l.spec.idle_timeout = 2;
    life_start(&l);
    lifecycle_hold(&l.it, 1001, true);
    lifecycle_output(&l.it, 1099);
    lifecycle_hold(&l.it, 1100, false);
    l.now = 1100;
    double next = lifecycle_next(&l.it, l.now);
    ck_assert_msg(next >= 1101 && next <= 1102, "silent since 1099, idle at %f", next);
}
END_TEST

START_TEST(a_hold_told_twice_is_one_hold) {
    l.spec.idle_timeout = 2;
    life_start(&l);
    lifecycle_hold(&l.it, 1001, false);
    NEXT_IS(&l, 1002);
    lifecycle_hold(&l.it, 1001, true);
    lifecycle_hold(&l.it, 1050, true);
    lifecycle_hold(&l.it, 1100, false);
    lifecycle_hold(&l.it, 1200, false);
    NEXT_IS(&l, 1101);
}
END_TEST

START_TEST(cpu_time_is_looked_at_when_it_can_be_used_up) {
    l.spec.cpu_timeout = 4;
    life_start(&l);
    NEXT_IS(&l, 1002); // two processors
    ck_assert_uint_eq(lifecycle_time(&l.it, 1002), LIFE_CHECK_CPU);
    ck_assert_uint_eq(lifecycle_cpu(&l.it, 1002, 3, 0), 0);
    ck_assert_double_eq_tol(lifecycle_left_cpu(&l.it), 1, 1e-6);
    l.now = 1002;
    NEXT_IS(&l, 1002.5);
    ck_assert_uint_eq(lifecycle_time(&l.it, 1002.5), LIFE_CHECK_CPU);
    ck_assert_uint_eq(lifecycle_cpu(&l.it, 1002.5, 4, 0), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.cause.reason, REASON_CPU_TIMEOUT);
}
END_TEST

START_TEST(a_cpu_clock_that_can_not_be_read_is_tried_again_later) {
    l.spec.cpu_timeout = 4;
    life_start(&l);
    l.now = 1002;
    ck_assert_uint_eq(lifecycle_time(&l.it, l.now), LIFE_CHECK_CPU); // and no lifecycle_cpu()
    ck_assert(lifecycle_next(&l.it, l.now) >= l.now + LIFECYCLE_CPU_STEP - 1e-6);
}
END_TEST

START_TEST(a_tree_that_takes_long_to_look_at_is_looked_at_rarely) {
    l.spec.cpu_timeout = 4;
    life_start(&l);
    l.now = 1002;
    ck_assert_uint_eq(lifecycle_time(&l.it, l.now), LIFE_CHECK_CPU);
    l.now = 1002.3;
    ck_assert_uint_eq(lifecycle_cpu(&l.it, l.now, 3.99, 0.3), 0);
    NEXT_IS(&l, 1007.3);
}
END_TEST

START_TEST(a_quiet_job_is_looked_at_ever_more_rarely) {
    l.spec.cpu_timeout = 0.01;
    life_start(&l);
    int looks = 0;
    for (double next; (next = lifecycle_next(&l.it, l.now)) < 1060; looks++) {
        l.now = next;
        ck_assert_uint_eq(lifecycle_time(&l.it, l.now), LIFE_CHECK_CPU);
        ck_assert_uint_eq(lifecycle_cpu(&l.it, l.now, 0, 0), 0);
    }
    ck_assert_int_lt(looks, 70); // once a second in the end
}
END_TEST

START_TEST(a_kill_signals_then_kills) {
    life_start(&l);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 2, 7), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.signal, 2);
    NEXT_IS(&l, 1007);
    ck_assert_uint_eq(life_until(&l, 1007), LIFE_KILL);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_KILLED);
    ck_assert_int_eq(l.it.cause.killer, KILLER_CLIENT);
}
END_TEST

START_TEST(a_second_kill_can_only_shorten) {
    life_start(&l);
    lifecycle_stop(&l.it, l.now, by_client, 15, 5);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 60), 0);
    NEXT_IS(&l, 1005);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 1), 0);
    NEXT_IS(&l, 1001);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 0), LIFE_KILL);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 0), 0);
}
END_TEST

START_TEST(the_first_cause_counts) {
    l.spec.timeout = 3;
    life_start(&l);
    lifecycle_stop(&l.it, l.now, by_lease, 15, 60);
    ck_assert_uint_eq(life_until(&l, 1010), 0); // a stop is under way: deadlines have nothing to add
    lifecycle_stop(&l.it, l.now, by_client, 15, 0);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_KILLED);
    ck_assert_int_eq(l.it.cause.killer, KILLER_LEASE);
}
END_TEST

START_TEST(a_kill_after_the_leaders_end_is_no_cause) {
    l.spec.descendants = DESCENDANTS_WAIT;
    life_start(&l);
    lifecycle_exit(&l.it, l.now);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 0), LIFE_KILL);
    ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
}
END_TEST

START_TEST(a_final_job_takes_no_kill) {
    life_start(&l);
    end();
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 0), 0);
    ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
}
END_TEST

START_TEST(sigkill_as_signal_is_a_kill) {
    life_start(&l);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 9, 5), LIFE_KILL);
    NEXT_IS_NEVER(&l);
}
END_TEST

START_TEST(a_tree_has_ten_seconds_from_sigkill_whatever_the_grace) {
    life_start(&l);
    lifecycle_stop(&l.it, l.now, by_client, 9, 5);
    lifecycle_streams_over(&l.it, l.now);
    lifecycle_exit(&l.it, l.now);
    NEXT_IS(&l, 1010);
}
END_TEST

// The leader took the signal well and exits 0: the result still tells who ended it.
START_TEST(a_cause_outlives_an_exit_of_0) {
    life_start(&l);
    lifecycle_stop(&l.it, l.now, by_lease, 15, 5);
    lifecycle_stop(&l.it, l.now, by_client, 15, 5);
    l.now = 1001;
    end();
    struct outcome outcome = {.end = {.known = true, .exit_code = 0}, .cause = l.it.cause};
    ck_assert_int_eq(outcome_reason(&outcome, true), REASON_KILLED);
    ck_assert_int_eq(outcome.cause.killer, KILLER_LEASE);
    ck_assert_int_eq(outcome.cause.uid, 1000);
}
END_TEST

START_TEST(an_output_limit_is_a_cause_as_others) {
    static const struct cause limit = {REASON_OUTPUT_LIMIT, KILLER_NONE, -1};
    l.spec.timeout = 3;
    life_start(&l);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, limit, 10, 4), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.signal, 10);
    ck_assert_uint_eq(life_until(&l, 1004), LIFE_KILL); // the timeout in between adds nothing
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_OUTPUT_LIMIT);
    ck_assert_int_eq(l.it.cause.killer, KILLER_NONE);
}
END_TEST

START_TEST(the_stop_signal_is_the_jobs_own) {
    l.spec.timeout = 1;
    l.spec.stop_signal = 2;
    l.spec.grace = 0.5;
    life_start(&l);
    ck_assert_uint_eq(life_until(&l, 1001), LIFE_SIGNAL);
    ck_assert_int_eq(l.it.signal, 2);
    NEXT_IS(&l, 1000.99 + 0.5);
}
END_TEST

// A client's kill without grace comes while the timeout's is waited for: it shortens, and is no cause.
START_TEST(a_kill_shortens_a_timeouts_grace) {
    l.spec.timeout = 1;
    life_start(&l);
    life_until(&l, 1001);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 2, 0.25), 0);
    ck_assert_int_eq(l.it.signal, 15);
    ck_assert_uint_eq(life_until(&l, 1001.25), LIFE_KILL);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_TIMEOUT);
}
END_TEST

START_TEST(a_kill_before_the_start_takes_the_launch_back) {
    life_init(&l);
    ck_assert_uint_eq(lifecycle_stop(&l.it, l.now, by_client, 15, 5), LIFE_CANCEL);
    ck_assert_uint_eq(lifecycle_failed(&l.it, l.now), LIFE_CLOSE | LIFE_FINISH);
    ck_assert_int_eq(l.it.cause.reason, REASON_KILLED);
}
END_TEST

START_TEST(a_launch_that_outran_the_kill_gets_its_signal) {
    life_init(&l);
    lifecycle_stop(&l.it, l.now, by_client, 15, 5);
    ck_assert_uint_eq(lifecycle_started(&l.it, l.now), LIFE_SIGNAL);
    NEXT_IS(&l, 1005);
    life_init(&l);
    lifecycle_stop(&l.it, l.now, by_client, 15, 0);
    ck_assert_uint_eq(lifecycle_started(&l.it, l.now), LIFE_KILL);
}
END_TEST

START_TEST(an_expired_launch_that_comes_after_all_is_killed) {
    life_init(&l);
    lifecycle_begun(&l.it, 1000);
    lifecycle_begun(&l.it, 1020); // known already
    ck_assert_uint_eq(life_until(&l, 1029.9), 0);
    ck_assert_uint_eq(life_until(&l, 1030), LIFE_KILL);
    ck_assert_uint_eq(lifecycle_started(&l.it, l.now), LIFE_KILL);
    end();
    ck_assert_int_eq(l.it.cause.reason, REASON_NONE);
    ck_assert(l.it.launch_expired);
}
END_TEST

START_TEST(the_deadline_of_a_launch_that_hangs) {
    l.spec.timeout = 2;
    life_init(&l);
    lifecycle_begun(&l.it, 1000);
    ck_assert_uint_eq(life_until(&l, 1002), LIFE_CANCEL);
    ck_assert_uint_eq(life_until(&l, 1007), LIFE_KILL);
    lifecycle_failed(&l.it, l.now);
    ck_assert_int_eq(l.it.cause.reason, REASON_TIMEOUT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lifecycle: stops");
    TCase *group = suite_case(suite, "stops", setup, teardown);
    tcase_add_test(group, timeout_then_signal_then_kill_at_grace);
    tcase_add_test(group, grace_0_kills_at_once_and_nothing_else);
    tcase_add_test(group, output_puts_off_the_idle_timeout_only);
    tcase_add_test(group, silence_is_idle_timeout);
    tcase_add_test(group, idle_timeout_stands_still_while_held_back);
    tcase_add_test(group, output_while_held_back_puts_off_nothing_twice);
    tcase_add_test(group, a_hold_told_twice_is_one_hold);
    tcase_add_test(group, cpu_time_is_looked_at_when_it_can_be_used_up);
    tcase_add_test(group, a_cpu_clock_that_can_not_be_read_is_tried_again_later);
    tcase_add_test(group, a_quiet_job_is_looked_at_ever_more_rarely);
    tcase_add_test(group, a_tree_that_takes_long_to_look_at_is_looked_at_rarely);
    tcase_add_test(group, a_kill_signals_then_kills);
    tcase_add_test(group, a_second_kill_can_only_shorten);
    tcase_add_test(group, the_first_cause_counts);
    tcase_add_test(group, a_kill_after_the_leaders_end_is_no_cause);
    tcase_add_test(group, a_final_job_takes_no_kill);
    tcase_add_test(group, sigkill_as_signal_is_a_kill);
    tcase_add_test(group, a_kill_before_the_start_takes_the_launch_back);
    tcase_add_test(group, a_launch_that_outran_the_kill_gets_its_signal);
    tcase_add_test(group, the_deadline_of_a_launch_that_hangs);
    tcase_add_test(group, a_tree_has_ten_seconds_from_sigkill_whatever_the_grace);
    tcase_add_test(group, a_cause_outlives_an_exit_of_0);
    tcase_add_test(group, an_output_limit_is_a_cause_as_others);
    tcase_add_test(group, the_stop_signal_is_the_jobs_own);
    tcase_add_test(group, a_kill_shortens_a_timeouts_grace);
    tcase_add_test(group, an_expired_launch_that_comes_after_all_is_killed);
    return suite_run(suite);
}
