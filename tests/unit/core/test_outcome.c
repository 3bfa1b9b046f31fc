// outcome and job: the reason of an end, the state of a job, and what the table calls them.
#include "common/proto.h"
#include "common/util.h"
#include "daemon/core/job.h"
#include "tests/unit/suite.h"

START_TEST(a_failed_launch_comes_first) {
    struct outcome o = {.stage = STAGE_EXEC, .error = 2, .cause = {.reason = REASON_KILLED}};
    ck_assert_int_eq(outcome_reason(&o, false), REASON_SPAWN_FAILED);
}
END_TEST

START_TEST(a_cause_counts_more_than_the_status) {
    struct outcome o = {.cause = {.reason = REASON_TIMEOUT}, .end = {.known = true, .exit_code = 0}};
    ck_assert_int_eq(outcome_reason(&o, true), REASON_TIMEOUT);
}
END_TEST

START_TEST(without_a_cause_the_status_tells) {
    struct outcome o = {.cause = {.reason = REASON_NONE}, .end = {.known = true, .exit_code = 3}};
    ck_assert_int_eq(outcome_reason(&o, true), REASON_EXITED);
    o.end = (struct leader_exit){.known = true, .exit_code = -1, .signal = 11};
    ck_assert_int_eq(outcome_reason(&o, true), REASON_SIGNALED);
    o.end.known = false;
    ck_assert_int_eq(outcome_reason(&o, true), REASON_LOST);
}
END_TEST

START_TEST(the_oom_killers_end_is_oom_and_nobody_elses) {
    struct outcome o = {.cause = {.reason = REASON_NONE}, .oom = true, .end = {.known = true, .signal = 9}};
    ck_assert_int_eq(outcome_reason(&o, true), REASON_OOM);
    o.cause.reason = REASON_KILLED;
    ck_assert_int_eq(outcome_reason(&o, true), REASON_KILLED);
    o.cause.reason = REASON_NONE;
    o.end = (struct leader_exit){.known = true, .exit_code = 1}; // another process of the tree
    ck_assert_int_eq(outcome_reason(&o, true), REASON_EXITED);
}
END_TEST

START_TEST(timeouts_are_those_named_so) {
    for (int r = 0; r < REASON_COUNT; r++)
        ck_assert_int_eq(reason_is_timeout((enum reason)r), strstr(proto_reasons[r], "timeout") != NULL);
    ck_assert_ptr_null(proto_reasons[REASON_COUNT]);
}
END_TEST

START_TEST(states_follow_the_lifecycle) {
    struct job job = {.outcome = {.reason = REASON_NONE}};
    job.life.state = LIFE_STARTING;
    ck_assert_str_eq(proto_states[job_state(&job)], "starting");
    job.life.state = LIFE_RUNNING;
    job.pid = 1;
    ck_assert_str_eq(proto_states[job_state(&job)], "running");
    job.life.stopping = true;
    ck_assert_str_eq(proto_states[job_state(&job)], "stopping");
    job.life.state = LIFE_FINAL;
    job.outcome.reason = REASON_KILLED;
    ck_assert_str_eq(proto_states[job_state(&job)], "final");
    ck_assert_ptr_null(proto_states[JOB_STATE_COUNT]);
}
END_TEST

START_TEST(elapsed_counts_from_start_to_end) {
    struct job job = {.outcome = {.reason = REASON_NONE}};
    ck_assert_double_eq(job_elapsed(&job, 50), -1);
    job.started_at = 1;
    job.started_mono = 10;
    ck_assert_double_eq_tol(job_elapsed(&job, 50), 40, 1e-9);
    job.ended_mono = 30;
    ck_assert_double_eq_tol(job_elapsed(&job, 50), 20, 1e-9);
}
END_TEST

START_TEST(a_launch_that_left_nothing_is_lost) {
    struct outcome o = {.cause = {.reason = REASON_NONE}, .end = {.known = true}};
    ck_assert_int_eq(outcome_reason(&o, false), REASON_LOST);
    o.cause.reason = REASON_KILLED; // before the launch
    ck_assert_int_eq(outcome_reason(&o, false), REASON_KILLED);
}
END_TEST

START_TEST(a_tree_that_is_waited_for_is_still_running) {
    struct job job = {.outcome = {.reason = REASON_NONE}, .pid = 1};
    job.life.state = LIFE_ENDED;
    job.life.descendants = DESCENDANTS_WAIT;
    ck_assert_int_eq(job_state(&job), JOB_RUNNING);
    job.life.descendants = DESCENDANTS_KILL;
    ck_assert_int_eq(job_state(&job), JOB_STOPPING);
    job.life.state = LIFE_FINAL; // its result is made at the bottom of the turn
    ck_assert_int_eq(job_state(&job), JOB_STOPPING);
    ck_assert(!job_is_final(&job));
}
END_TEST

START_TEST(survivors_are_freed_once) {
    struct outcome o = {.survivors = calloc(2, sizeof(pid_t)), .survivor_count = 2};
    outcome_done(&o);
    ck_assert_ptr_null(o.survivors);
    ck_assert_uint_eq(o.survivor_count, 0);
    outcome_done(&o);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outcome");
    TCase *group = suite_case(suite, "ends", NULL, NULL);
    tcase_add_test(group, a_failed_launch_comes_first);
    tcase_add_test(group, a_cause_counts_more_than_the_status);
    tcase_add_test(group, without_a_cause_the_status_tells);
    tcase_add_test(group, the_oom_killers_end_is_oom_and_nobody_elses);
    tcase_add_test(group, timeouts_are_those_named_so);
    tcase_add_test(group, states_follow_the_lifecycle);
    tcase_add_test(group, elapsed_counts_from_start_to_end);
    tcase_add_test(group, a_launch_that_left_nothing_is_lost);
    tcase_add_test(group, a_tree_that_is_waited_for_is_still_running);
    tcase_add_test(group, survivors_are_freed_once);
    return suite_run(suite);
}
