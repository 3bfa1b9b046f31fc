// tree: the way that holds nothing but the process group, and which way a host takes.
#include <fcntl.h>
#include <signal.h>

#include "common/util.h"
#include "daemon/os/sweep.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static struct rig rig;

static void start(struct rig_job *job, enum tree_rest rest, const char *first, char line[64]) {
    rig_open(&rig, SPAWN_FAST, TREE_NONE);
    rig_start(&rig, job, rest, first, NULL);
    rig_expect_running(job);
    watch_line(job->launch.out_fd, line, 64);
}

START_TEST(a_kill_reaches_the_group) {
    struct rig_job job;
    char line[64];
    start(&job, TREE_REST_WAIT, "spin-tree", line);
    ck_assert_str_eq(line, "ready");
    pid_t pids[8];
    size_t below = sweep_list(job.launch.pid, pids, ARRAY_SIZE(pids));
    ck_assert_uint_eq(below, 2);
    tree_kill(job.tree);
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.signal, SIGKILL);
    ck_assert(job.in_order && job.empties == 1);
    watch_until_gone(pids[0]);
    watch_until_gone(pids[1]);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(the_group_is_ended_with_its_leader) {
    struct rig_job job;
    char line[64];
    start(&job, TREE_REST_KILL, "hold-pipe", line);
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.exit_code, 0);
    ck_assert_int_gt(atoi(line), 0);
    watch_until_gone(atoi(line));
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(the_group_is_left_where_it_is_to_be_kept) {
    struct rig_job job;
    char line[64];
    start(&job, TREE_REST_KEEP, "hold-pipe", line);
    rig_until(&rig, &job.settled);
    ck_assert(watch_alive(atoi(line)));
    kill(atoi(line), SIGKILL);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(it_does_not_pretend_to_know_more) {
    struct rig_job job;
    char line[64];
    pid_t pid;
    start(&job, TREE_REST_KILL, "ignore-term", line);
    ck_assert_int_eq(tree_pids(job.tree, &pid, 1), -EOPNOTSUPP);
    ck_assert_int_eq(tree_signal(job.tree, SIGTERM), 0); // ignored
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGKILL), 0);
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.signal, SIGKILL);
    ck_assert_int_eq(tree_signal(job.tree, SIGTERM), -ESRCH);
    ck_assert_int_eq(tree_signal_leader(job.tree, SIGTERM), -ESRCH);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

static int host(enum tree_way way, int reaper_fd, enum tree_way *ret_way) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct descriptors descriptors = {0};
    struct tree_host *made = NULL;
    int r = tree_host_new(
        &(struct tree_host_parts){
            .loop = loop, .way = way, .name = "supd-unit-hosts", .reaper_fd = reaper_fd, .descriptors = &descriptors},
        &made);
    ck_assert((r == 0) == (made != NULL));
    if (made) {
        *ret_way = tree_host_way(made);
        ck_assert_str_ne(tree_host_why(made), "");
    }
    tree_host_free(made);
    ev_loop_destroy(loop);
    return r;
}

START_TEST(a_forced_way_is_taken_or_refused) {
    enum tree_way way = TREE_AUTO;
    int reaper_fd = open(TEST_REAPER, O_PATH | O_CLOEXEC), before = watch_descriptors();
    ck_assert_int_eq(host(TREE_NONE, -1, &way), 0);
    ck_assert_int_eq(way, TREE_NONE);
    ck_assert_int_eq(host(TREE_REAPER, reaper_fd, &way), 0);
    ck_assert_int_eq(way, TREE_REAPER);
    way = TREE_AUTO;
    ck_assert_int_eq(host(TREE_REAPER, -1, &way), -EOPNOTSUPP);
    ck_assert_int_eq(way, TREE_AUTO);
    ck_assert_int_eq(watch_descriptors(), before);
    ck_assert_uint_eq(watch_children(), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/tree_none");
    TCase *group = suite_case(suite, "none", NULL, NULL);
    tcase_add_test(group, a_kill_reaches_the_group);
    tcase_add_test(group, the_group_is_ended_with_its_leader);
    tcase_add_test(group, the_group_is_left_where_it_is_to_be_kept);
    tcase_add_test(group, it_does_not_pretend_to_know_more);
    tcase_add_test(suite_case(suite, "host", NULL, NULL), a_forced_way_is_taken_or_refused);
    return suite_run(suite);
}
