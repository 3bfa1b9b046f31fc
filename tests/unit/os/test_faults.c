// A launch in which the N-th call fails, for every N until it succeeds without one: there is always an answer, and
// nothing is left behind.
#include <fcntl.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/unit/os/fault.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static const struct {
    enum tree_way tree;
    enum spawn_way spawn;
} ways[] = {{TREE_NONE, SPAWN_FAST},    {TREE_NONE, SPAWN_PLAIN},  {TREE_REAPER, SPAWN_FAST},
            {TREE_REAPER, SPAWN_PLAIN}, {TREE_CGROUP, SPAWN_FAST}, {TREE_CGROUP, SPAWN_PLAIN}};

// Starts one job with the N-th call failing. Returns whether it came to that.
static bool launch_with_fault(struct rig *rig, int nth, int *failures) {
    struct rig_job job;
    char text[64];
    rig_prepare(rig, &job, TREE_REST_KILL, "says", "hello");
    fault_arm(nth);
    launcher_submit(rig->launcher, &job.launch);
    rig_until(rig, &job.over);
    bool happened = fault_happened();
    fault_arm(0);
    const struct plan *plan = &job.launch.plan;
    if (plan->stage == STAGE_NONE) { // what failed was not needed
        ck_assert_int_gt(job.launch.pid, 0);
        ck_assert_uint_eq(watch_read(job.launch.out_fd, text, sizeof(text)), 0);
        watch_read(job.launch.err_fd, text, sizeof(text));
        rig_until(rig, &job.settled);
        ck_assert_int_eq(job.exits, 1);
        if (job.unprovens) { // it was the reaper's own call, and its end is that of its tree
            ck_assert(happened && tree_host_way(rig->host) == TREE_REAPER);
        } else {
            ck_assert_str_eq(text, "hello\n");
            ck_assert_msg(job.end.known && job.end.exit_code == 1, "call %d: signal %d", nth, job.end.signal);
        }
        while (watch_children() > 0) // it is reaped a little later than it says that it is through
            ev_run(rig->loop, EVRUN_ONCE);
    } else {
        ck_assert_msg(happened, "call %d did not fail, and the launch did: %s", nth, strerror(plan->error));
        // The reaper's call may fail for want of what another one should have got.
        bool told = plan->error == FAULT_ERRNO || (tree_host_way(rig->host) == TREE_REAPER && plan->error == EBADF);
        ck_assert_msg(told, "call %d: stage %d: %s", nth, plan->stage, strerror(plan->error));
        ck_assert_int_eq(job.launch.pid, 0);
        ck_assert(job.launch.out_fd == -1 && job.launch.err_fd == -1);
        ck_assert_int_eq(job.exits + job.empties + job.unprovens, 0);
        ++*failures;
    }
    rig_done(&job);
    return happened;
}

START_TEST(every_call_of_a_launch_may_fail) {
    struct rig rig;
    int failures = 0, nth = 1;
    if (!fault_open())
        return;
    rig_open(&rig, ways[_i].spawn, ways[_i].tree);
    launch_with_fault(&rig, 0, &failures); // the thread is there from now on
    ck_assert_int_eq(failures, 0);
    int before = watch_descriptors();
    for (; launch_with_fault(&rig, nth, &failures); nth++) {
        ck_assert_msg(watch_descriptors() == before, "call %d: %d descriptors, not %d", nth, watch_descriptors(),
                      before);
        ck_assert_msg(watch_children() == 0, "call %d: %zu processes are left", nth, watch_children());
    }
    ck_assert_int_ge(failures, 5); // two pipes, a clone, the cwd, the exec at least
    rig_close(&rig);
}
END_TEST

// Of a launcher that cannot start its first thread the launch must come back too, sooner or later.
START_TEST(without_a_thread_a_launch_still_gets_an_answer) {
    struct rig rig;
    struct rig_job job, next;
    if (!fault_open())
        return;
    rig_open(&rig, SPAWN_FAST, TREE_NONE);
    rig_prepare(&rig, &job, TREE_REST_KILL, "exit", NULL);
    fault_arm(1);
    launcher_submit(rig.launcher, &job.launch);
    ck_assert(fault_happened());
    fault_arm(0);
    rig_until(&rig, &job.over);
    rig_start(&rig, &next, TREE_REST_KILL, "exit", NULL);
    rig_until(&rig, &next.settled);
    ck_assert_int_eq(next.end.exit_code, 0);
    rig_done(&job);
    rig_done(&next);
    rig_close(&rig);
}
END_TEST

// Opening the hosts: refused cleanly, or done without what failed.
START_TEST(every_call_of_a_start_may_fail) {
    static const enum tree_way starts[] = {TREE_NONE, TREE_REAPER, TREE_AUTO};
    bool happened = true;
    int reaper_fd = open(TEST_REAPER, O_PATH | O_CLOEXEC), before = -1;
    if (!fault_open())
        return;
    for (int nth = 0; happened || nth == 1; nth++) {
        struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
        struct descriptors descriptors = {0};
        struct launcher *launcher = NULL;
        struct tree_host *host = NULL;
        fault_arm(nth);
        int r = launcher_new(loop, SPAWN_FAST, 2, false, NULL, &launcher);
        int s = tree_host_new(&(struct tree_host_parts){.loop = loop,
                                                        .way = starts[_i],
                                                        .name = "supd-unit-starts",
                                                        .reaper_fd = reaper_fd,
                                                        .descriptors = &descriptors},
                              &host);
        happened = fault_happened();
        fault_arm(0);
        ck_assert((r == 0) == (launcher != NULL) && (s == 0) == (host != NULL));
        ck_assert_msg(happened || nth > 0 || (r == 0 && s == 0), "%s, %s", strerror(-r), strerror(-s));
        launcher_free(launcher);
        tree_host_free(host);
        ev_loop_destroy(loop);
        before = nth == 0 ? watch_descriptors() : before;
        ck_assert_msg(watch_descriptors() == before, "call %d: %d descriptors, not %d", nth, watch_descriptors(),
                      before);
        ck_assert_msg(watch_children() == 0, "call %d: %zu processes are left", nth, watch_children());
    }
    close(reaper_fd);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/faults");
    TCase *group = suite_case(suite, "faults", NULL, NULL);
    tcase_add_loop_test(group, every_call_of_a_launch_may_fail, 0, rig_has_cgroups() ? ARRAY_SIZE(ways) : 4);
    tcase_add_test(group, without_a_thread_a_launch_still_gets_an_answer);
    tcase_add_loop_test(group, every_call_of_a_start_may_fail, 0, 3);
    int status = suite_run(suite);
    rig_clean();
    return status;
}
