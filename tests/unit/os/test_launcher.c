// launcher: jobs through threads, results on the loop, and what is stuck holds nobody up.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/util.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static const enum spawn_way ways[] = {SPAWN_FAST, SPAWN_PLAIN};
static char fifo[64];

static void teardown(void) {
    if (fifo[0])
        unlink(fifo);
}

// A launch that hangs in its child: it opens a FIFO that nobody reads.
static void start_stuck(struct rig *rig, struct rig_job *job) {
    if (!fifo[0]) {
        snprintf(fifo, sizeof(fifo), "/tmp/supd-unit-fifo-%d", (int)getpid());
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    }
    rig_prepare(rig, job, TREE_REST_KILL, "exit", NULL);
    job->launch.plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup(fifo), .fd = -1};
    launcher_submit(rig->launcher, &job->launch);
}

static void expect_stuck_killed(struct rig_job *job) {
    rig_until(job->rig, &job->over);
    ck_assert_int_eq(job->launch.plan.stage, STAGE_NONE);
    rig_until(job->rig, &job->settled);
    ck_assert(job->end.known);
    ck_assert_int_eq(job->end.signal, SIGKILL);
    rig_done(job);
}

START_TEST(many_jobs_on_two_threads_each_get_their_own_output) {
    enum { JOBS = 40 };
    static struct rig_job jobs[JOBS];
    struct rig rig;
    char number[16], text[64], expected[16];
    rig_open(&rig, ways[_i], TREE_NONE);
    for (int i = 0; i < JOBS; i++) {
        snprintf(number, sizeof(number), "job-%d", i);
        rig_start(&rig, &jobs[i], TREE_REST_KILL, "says", number);
    }
    for (int i = 0; i < JOBS; i++) {
        rig_expect_running(&jobs[i]);
        ck_assert(jobs[i].in_loop);
        ck_assert(jobs[i].launch.started_mono > 0 && jobs[i].launch.started_wall > 0);
        ck_assert_int_eq(fcntl(jobs[i].launch.out_fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        ck_assert_int_eq(fcntl(jobs[i].launch.err_fd, F_GETFD), FD_CLOEXEC);
        ck_assert_uint_eq(watch_read(jobs[i].launch.out_fd, text, sizeof(text)), 0);
        watch_read(jobs[i].launch.err_fd, text, sizeof(text));
        snprintf(expected, sizeof(expected), "job-%d\n", i);
        ck_assert_str_eq(text, expected);
        rig_until(&rig, &jobs[i].settled);
        ck_assert_int_eq(jobs[i].end.exit_code, 1);
        rig_done(&jobs[i]);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(a_failed_launch_leaves_nothing) {
    struct rig rig;
    struct rig_job job;
    rig_open(&rig, ways[_i], TREE_NONE);
    int before = watch_descriptors();
    rig_prepare(&rig, &job, TREE_REST_KILL, "exit", NULL);
    job.launch.plan.argv[0][1] = '-';
    launcher_submit(rig.launcher, &job.launch);
    rig_until(&rig, &job.over);
    ck_assert_int_eq(job.launch.plan.stage, STAGE_EXEC);
    ck_assert_int_eq(job.launch.plan.error, ENOENT);
    ck_assert_int_eq(job.launch.pid, 0);
    ck_assert_int_eq(job.launch.out_fd, -1);
    ck_assert_int_eq(job.launch.err_fd, -1);
    ck_assert_int_eq(watch_descriptors(), before);
    ck_assert_uint_eq(watch_children(), 0);
    ck_assert_int_eq(job.exits, 0);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(stdin_and_given_descriptors_are_the_jobs) {
    struct rig rig;
    struct rig_job job;
    int in[2], out[2];
    char text[64];
    rig_open(&rig, ways[_i], TREE_NONE);
    ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    rig_prepare(&rig, &job, TREE_REST_KILL, "cat", NULL);
    job.launch.plan.stdin_fd = in[0];
    job.launch.plan.out = (struct plan_stream){.kind = PLAN_FD, .fd = out[1]};
    launcher_submit(rig.launcher, &job.launch);
    rig_expect_running(&job);
    ck_assert_int_eq(job.launch.out_fd, -1);
    ck_assert_int_eq(write(in[1], "through", 7), 7);
    close(in[1]);
    plan_done(&job.launch.plan); // the job alone holds the far ends now
    watch_read(out[0], text, sizeof(text));
    ck_assert_str_eq(text, "through");
    close(out[0]);
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.exit_code, 0);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

static void on_usr2(int sig) {
}

START_TEST(the_daemons_signals_are_not_inherited) {
    struct rig rig;
    struct rig_job job;
    char text[512];
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, on_usr2);
    rig_open(&rig, ways[_i], TREE_NONE);
    rig_start(&rig, &job, TREE_REST_KILL, "sigs", NULL);
    rig_expect_running(&job);
    watch_read(job.launch.out_fd, text, sizeof(text));
    ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"), "%s", text);
    rig_until(&rig, &job.settled);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

// A worker that goes on makes launches before it has handlers for what ends it.
START_TEST(nor_are_those_that_come_after_the_first_launch) {
    struct rig rig;
    struct rig_job first, job;
    char text[512];
    rig_open(&rig, ways[_i], TREE_NONE);
    rig_start(&rig, &first, TREE_REST_KILL, "exit", NULL);
    rig_until(&rig, &first.settled);
    rig_done(&first);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    rig_start(&rig, &job, TREE_REST_KILL, "sigs", NULL);
    rig_expect_running(&job);
    watch_read(job.launch.out_fd, text, sizeof(text));
    ck_assert_msg(strstr(text, "SigIgn:\t0000000000000000\n"), "%s", text);
    rig_until(&rig, &job.settled);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

// The daemon raises its own limit; a job gets what the daemon was given.
START_TEST(the_limit_of_descriptors_is_given_back) {
    struct rlimit before, during;
    struct rig rig;
    struct rig_job job;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    before.rlim_cur = 200;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    rig_open(&rig, ways[_i], TREE_NONE);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &during), 0);
    ck_assert_uint_eq(during.rlim_cur, before.rlim_max);
    rig_start(&rig, &job, TREE_REST_KILL, "ignore-term", NULL);
    rig_expect_running(&job);
    ck_assert_int_eq(prlimit(job.launch.pid, RLIMIT_NOFILE, NULL, &during), 0);
    ck_assert_uint_eq(during.rlim_cur, 200);
    tree_kill(job.tree);
    rig_until(&rig, &job.settled);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

static void *thread_stay(void *lock) {
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

// How many there are without launchers. A sanitizer's library has one of its own from the first one on.
static int count_threads(void) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    pthread_mutex_lock(&lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, thread_stay, &lock), 0);
    int count = watch_threads() - 1;
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    return count;
}

START_TEST(stuck_launches_hold_nobody_up) {
    struct rig rig;
    struct rig_job stuck[4], job;
    int before = count_threads();
    rig_open(&rig, ways[_i], TREE_NONE);
    for (int i = 0; i < 4; i++)
        start_stuck(&rig, &stuck[i]);
    rig_start(&rig, &job, TREE_REST_KILL, "exit", "5");
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.exit_code, 5);
    for (int i = 0; i < 4; i++)
        ck_assert(!stuck[i].over);
    for (int i = 0; i < 4; i++) {
        launcher_kill(rig.launcher, &stuck[i].launch);
        expect_stuck_killed(&stuck[i]);
    }
    rig_done(&job);
    ck_assert_int_ge(watch_threads(), before + 5);
    launcher_rest(rig.launcher);
    watch_until_threads(before + 2); // those of normal times
    rig_start(&rig, &job, TREE_REST_KILL, "exit", "6");
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.end.exit_code, 6);
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct rig_job *job = timer->data;
    launcher_kill(job->rig->launcher, &job->launch);
}

START_TEST(a_stuck_launch_is_killed_at_its_deadline) {
    struct rig rig;
    struct rig_job job;
    struct ev_timer deadline;
    rig_open(&rig, ways[_i], TREE_NONE);
    start_stuck(&rig, &job);
    double begun = 0;
    while (begun <= 0) // the clone is made, or about to be
        __atomic_load(&job.launch.started_mono, &begun, __ATOMIC_ACQUIRE);
    ev_timer_init(&deadline, on_deadline, 0, 0);
    deadline.data = &job;
    ev_timer_start(rig.loop, &deadline);
    expect_stuck_killed(&job);
    rig_close(&rig);
}
END_TEST

// No more threads than two: the third launch waits.
START_TEST(a_queued_launch_can_be_taken_back_and_one_under_way_cannot) {
    const struct rlimit few = {64, 64};
    struct rig rig;
    struct rig_job stuck[2], queued, last;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    rig_open(&rig, ways[_i], TREE_NONE);
    for (int i = 0; i < 2; i++) {
        double begun = 0;
        start_stuck(&rig, &stuck[i]);
        while (begun <= 0)
            __atomic_load(&stuck[i].launch.started_mono, &begun, __ATOMIC_ACQUIRE);
    }
    rig_start(&rig, &queued, TREE_REST_KILL, "exit", NULL);
    rig_start(&rig, &last, TREE_REST_KILL, "exit", "3");
    ck_assert_uint_eq(launcher_queued(rig.launcher), 2);
    ck_assert(!launcher_cancel(rig.launcher, &stuck[0].launch));
    ck_assert(launcher_cancel(rig.launcher, &queued.launch));
    ck_assert(!launcher_cancel(rig.launcher, &queued.launch));
    ck_assert_uint_eq(launcher_queued(rig.launcher), 1);
    for (int i = 0; i < 2; i++) {
        launcher_kill(rig.launcher, &stuck[i].launch);
        expect_stuck_killed(&stuck[i]);
    }
    rig_until(&rig, &last.settled);
    ck_assert_int_eq(last.end.exit_code, 3);
    ck_assert(!queued.over);
    rig_done(&queued);
    rig_done(&last);
    rig_close(&rig);
}
END_TEST

START_TEST(leaving_ends_what_is_under_way_and_drops_what_is_queued) {
    struct rig rig;
    struct rig_job jobs[6];
    rig_open(&rig, ways[_i], TREE_NONE);
    for (int i = 0; i < 6; i++)
        start_stuck(&rig, &jobs[i]);
    launcher_free(TAKE_PTR(rig.launcher));
    for (int i = 0; i < 6; i++) {
        ck_assert(!jobs[i].over);
        if (jobs[i].launch.pid > 0)
            watch_until_gone(jobs[i].launch.pid);
        rig_done(&jobs[i]);
    }
    rig_close(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/launcher");
    TCase *group = suite_case(suite, "both ways", NULL, teardown);
    const int count = ARRAY_SIZE(ways);
    tcase_add_loop_test(group, many_jobs_on_two_threads_each_get_their_own_output, 0, count);
    tcase_add_loop_test(group, a_failed_launch_leaves_nothing, 0, count);
    tcase_add_loop_test(group, stdin_and_given_descriptors_are_the_jobs, 0, count);
    tcase_add_loop_test(group, the_daemons_signals_are_not_inherited, 0, count);
    tcase_add_loop_test(group, nor_are_those_that_come_after_the_first_launch, 0, count);
    tcase_add_loop_test(group, the_limit_of_descriptors_is_given_back, 0, count);
    tcase_add_loop_test(group, stuck_launches_hold_nobody_up, 0, count);
    tcase_add_loop_test(group, a_stuck_launch_is_killed_at_its_deadline, 0, count);
    tcase_add_loop_test(group, a_queued_launch_can_be_taken_back_and_one_under_way_cannot, 0, count);
    tcase_add_loop_test(group, leaving_ends_what_is_under_way_and_drops_what_is_queued, 0, count);
    return suite_run(suite);
}
