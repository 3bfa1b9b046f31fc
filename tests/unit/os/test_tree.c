// tree: whatever a job forks is held, killed whole, and known to be gone; nobody else's is touched. Both ways.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/os/tree_internal.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

enum { BOMB = 20 }; // processes with sessions of their own, double-forked

static const struct {
    enum tree_way tree;
    enum spawn_way spawn;
} ways[] = {
    {TREE_REAPER, SPAWN_FAST}, {TREE_REAPER, SPAWN_PLAIN}, {TREE_CGROUP, SPAWN_FAST}, {TREE_CGROUP, SPAWN_PLAIN}};
static int way;
static struct rig rig;

static void open_way(int index) {
    way = index;
    rig_open(&rig, ways[way].spawn, ways[way].tree);
}

// Starts it and waits for the first line that it says.
static void start(struct rig_job *job, enum tree_rest rest, const char *first, const char *second, char line[64]) {
    rig_start(&rig, job, rest, first, second);
    rig_expect_running(job);
    watch_line(job->launch.out_fd, line, 64);
}

static void expect_empty(struct rig_job *job) {
    rig_until(&rig, &job->settled);
    ck_assert_int_eq(job->empties, 1);
    ck_assert_int_eq(job->unprovens, 0);
    ck_assert_int_eq(job->exits, 1);
    ck_assert(job->in_order);
}

START_TEST(a_tree_is_killed_whole_and_another_is_untouched) {
    struct rig_job one, other;
    pid_t ones[BOMB + 8], others[BOMB + 8];
    char line[64];
    open_way(_i);
    start(&one, TREE_REST_KILL, "bomb", "20", line);
    ck_assert_str_eq(line, "ready");
    start(&other, TREE_REST_KILL, "bomb", "20", line);
    ck_assert_int_eq(tree_pids(one.tree, ones, ARRAY_SIZE(ones)), BOMB + 1);
    ck_assert_int_eq(tree_pids(other.tree, others, ARRAY_SIZE(others)), BOMB + 1);
    for (int i = 0; i <= BOMB; i++)
        ck_assert(watch_alive(ones[i]) && watch_alive(others[i]));
    ck_assert(!one.settled);
    tree_kill(one.tree);
    tree_kill(one.tree); // a second one changes nothing
    expect_empty(&one);
    ck_assert_int_eq(one.end.signal, SIGKILL);
    for (int i = 0; i <= BOMB; i++) {
        ck_assert(!watch_alive(ones[i]));
        ck_assert(watch_alive(others[i]));
    }
    ck_assert_int_eq(tree_pids(other.tree, others, ARRAY_SIZE(others)), BOMB + 1);
    ck_assert_int_eq(other.exits + other.empties, 0);
    tree_kill(other.tree);
    expect_empty(&other);
    rig_done(&one);
    rig_done(&other);
    rig_close(&rig);
}
END_TEST

START_TEST(the_exit_of_a_lone_leader_empties_its_tree) {
    struct rig_job job;
    open_way(_i);
    rig_start(&rig, &job, TREE_REST_WAIT, "exit", "9");
    expect_empty(&job);
    ck_assert_int_eq(job.end.exit_code, 9);
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGTERM), -ESRCH);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(the_rest_is_killed_when_the_leader_ends) {
    struct rig_job job;
    char line[64];
    open_way(_i);
    start(&job, TREE_REST_KILL, "fork-away", "hold", line);
    ck_assert_int_gt(atoi(line), 0);
    expect_empty(&job);
    ck_assert_int_eq(job.end.exit_code, 0);
    ck_assert(!watch_alive(atoi(line)));
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

// Told to be empty only when the last one has gone.
START_TEST(the_rest_is_waited_for) {
    struct rig_job job;
    char line[64];
    pid_t pids[4];
    open_way(_i);
    start(&job, TREE_REST_WAIT, "fork-away", "hold", line);
    rig_until_count(&rig, &job.exits);
    ck_assert_int_eq(tree_pids(job.tree, pids, ARRAY_SIZE(pids)), 1);
    ck_assert_int_eq(pids[0], atoi(line));
    ck_assert(watch_alive(pids[0]));
    ck_assert(!job.settled);
    ck_assert_int_eq(tree_signal(job.tree, SIGTERM), 0); // reaches it, session of its own or not
    expect_empty(&job);
    ck_assert(!watch_alive(pids[0]));
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(the_rest_is_kept_and_its_holder_goes_with_it) {
    struct rig_job job;
    char line[64];
    open_way(_i);
    start(&job, TREE_REST_KEEP, "fork-away", "close", line);
    rig_until_count(&rig, &job.exits);
    rig_done(&job);
    ck_assert(watch_alive(atoi(line)));
    ck_assert_int_eq(kill(atoi(line), SIGKILL), 0);
    while (ways[way].tree == TREE_CGROUP ? rig.host->watched != NULL : watch_children() > 0)
        ev_run(rig.loop, EVRUN_ONCE);
    ck_assert_int_eq(job.empties, 0); // nobody listened any more
    rig_close(&rig);
}
END_TEST

START_TEST(a_signal_reaches_everybody_and_the_leaders_only_the_leader) {
    struct rig_job job;
    char line[64];
    open_way(_i);
    start(&job, TREE_REST_KILL, "signals", "4", line);
    ck_assert_int_eq(tree_signal(job.tree, SIGUSR1), 0);
    watch_line(job.launch.out_fd, line, sizeof(line));
    ck_assert_str_eq(line, "SIGUSR1");
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGUSR2), 0);
    watch_line(job.launch.out_fd, line, sizeof(line));
    ck_assert_str_eq(line, "SIGUSR2");
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGTERM), 0);
    expect_empty(&job);
    ck_assert_int_eq(job.end.exit_code, 4);
    rig_done(&job);

    start(&job, TREE_REST_WAIT, "bomb", "3", line);
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGTERM), 0);
    rig_until_count(&rig, &job.exits);
    ck_assert_int_eq(job.end.signal, SIGTERM);
    ck_assert(!job.settled); // three are left, none of whom was meant
    tree_kill(job.tree);
    expect_empty(&job);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(cpu_time_is_the_whole_trees) {
    struct rig_job job;
    char line[64];
    double used = 0;
    open_way(_i);
    rig_prepare(&rig, &job, TREE_REST_KILL, "spin-tree", NULL);
    ck_assert_int_eq(tree_cpu(job.tree, &used), -ESRCH); // nothing yet
    launcher_submit(rig.launcher, &job.launch);
    rig_expect_running(&job);
    watch_line(job.launch.out_fd, line, sizeof(line));
    while (used < 0.05) { // the child's child burns it
        int r = tree_cpu(job.tree, &used);
        ck_assert_int_eq(r, ways[way].tree == TREE_REAPER ? -EINPROGRESS : 0);
        if (r < 0)
            rig_until_count(&rig, &job.answers);
        used = r < 0 ? job.used : used;
        job.answers = 0;
    }
    tree_kill(job.tree);
    expect_empty(&job);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(a_kill_before_the_launch_is_not_forgotten) {
    struct rig_job job;
    open_way(_i);
    rig_prepare(&rig, &job, TREE_REST_KILL, "ignore-term", NULL);
    ck_assert_int_eq(tree_signal(job.tree, SIGTERM), -ESRCH);
    tree_kill(job.tree);
    launcher_submit(rig.launcher, &job.launch);
    expect_empty(&job);
    ck_assert_int_eq(job.end.signal, SIGKILL);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

// Of cgroups they are reused, and one in which something was killed is not.
START_TEST(trees_come_and_go_and_leave_nothing) {
    int before = 0;
    open_way(_i);
    for (int i = 0; i < 30; i++) {
        struct rig_job job;
        rig_start(&rig, &job, TREE_REST_KILL, i % 3 ? "exit" : "ignore-term", NULL);
        rig_expect_running(&job);
        if (i % 3 == 0)
            tree_kill(job.tree);
        expect_empty(&job);
        ck_assert_int_eq(job.end.signal, i % 3 ? 0 : SIGKILL);
        rig_done(&job);
        if (i == 5)
            before = watch_descriptors();
    }
    ck_assert_int_eq(watch_descriptors(), before);
    while (watch_children() > 0) // a reaper is reaped a little later than it says that it is through
        ev_run(rig.loop, EVRUN_ONCE);
    rig_close(&rig);
}
END_TEST

static void launch_in_vain(void) {
    struct rig_job job;
    rig_prepare(&rig, &job, TREE_REST_KILL, "exit", NULL);
    job.launch.plan.argv[0][1] = '-';
    launcher_submit(rig.launcher, &job.launch);
    rig_until(&rig, &job.over);
    ck_assert_int_eq(job.launch.plan.stage, STAGE_EXEC);
    ck_assert_int_eq(job.launch.plan.error, ENOENT);
    rig_done(&job);
    ck_assert_int_eq(job.exits + job.empties + job.unprovens, 0);
}

START_TEST(a_failed_launch_holds_nothing) {
    open_way(_i);
    launch_in_vain(); // its cgroup is held open from here on
    int before = watch_descriptors();
    launch_in_vain();
    ck_assert_int_eq(watch_descriptors(), before);
    ck_assert_uint_eq(watch_children(), 0);
    rig_close(&rig);
}
END_TEST

// tree.h: "Writes up to max pids. Returns how many there are."
START_TEST(no_more_pids_are_written_than_there_is_room_for) {
    struct rig_job job;
    char line[64];
    pid_t pids[3] = {0, 0, -7};
    open_way(_i);
    start(&job, TREE_REST_KILL, "bomb", "5", line);
    int there = tree_pids(job.tree, pids, 2);
    tree_kill(job.tree);
    expect_empty(&job);
    ck_assert(pids[0] > 0 && pids[1] > 0 && pids[2] == -7);
    ck_assert_int_eq(there, 2);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/tree");
    TCase *group = suite_case(suite, "every way", NULL, NULL);
    const int count = rig_has_cgroups() ? ARRAY_SIZE(ways) : 2;
    tcase_add_loop_test(group, a_tree_is_killed_whole_and_another_is_untouched, 0, count);
    tcase_add_loop_test(group, the_exit_of_a_lone_leader_empties_its_tree, 0, count);
    tcase_add_loop_test(group, the_rest_is_killed_when_the_leader_ends, 0, count);
    tcase_add_loop_test(group, the_rest_is_waited_for, 0, count);
    tcase_add_loop_test(group, the_rest_is_kept_and_its_holder_goes_with_it, 0, count);
    tcase_add_loop_test(group, a_signal_reaches_everybody_and_the_leaders_only_the_leader, 0, count);
    tcase_add_loop_test(group, cpu_time_is_the_whole_trees, 0, count);
    tcase_add_loop_test(group, a_kill_before_the_launch_is_not_forgotten, 0, count);
    tcase_add_loop_test(group, trees_come_and_go_and_leave_nothing, 0, count);
    tcase_add_loop_test(group, a_failed_launch_holds_nothing, 0, count);
    tcase_add_loop_test(group, no_more_pids_are_written_than_there_is_room_for, 0, count);
    int status = suite_run(suite);
    rig_clean();
    return status;
}
