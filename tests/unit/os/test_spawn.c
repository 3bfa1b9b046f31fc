// spawn: both ways give pid, pidfd and the failing step, and leave nothing behind.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/unit/os/stand.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static const enum spawn_way ways[] = {SPAWN_FAST, SPAWN_PLAIN};
static struct stand stand;
static struct plan plan;

static void setup(void) {
    stand_open(&stand);
    stand_plan(&stand, &plan, "exit");
}

static void teardown(void) {
    plan_done(&plan);
    stand_close(&stand);
}

static int run(enum spawn_way way, int *ret_pidfd) {
    struct spawn spawn = stand_spawn(&stand, way, &plan);
    *stand.report = (struct child_report){.stage = STAGE_NONE};
    return spawn_run(&spawn, ret_pidfd);
}

static siginfo_t reap(int pidfd) {
    siginfo_t info = {0};
    ck_assert_int_eq(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
    close(pidfd);
    return info;
}

START_TEST(gives_the_pid_and_a_pidfd_of_the_leader) {
    int pidfd = -1, before = watch_descriptors(), pid;
    stand_argv(&plan, TEST_CHILD, "ids");
    ck_assert_int_eq(run(ways[_i], &pidfd), 0);
    ck_assert_int_eq(stand.report->stage, STAGE_NONE);
    ck_assert_int_gt(stand.report->leader, 0);
    ck_assert_int_eq(stand.report->holder, 0);
    ck_assert_int_eq(watch_descriptors(), before + 1);
    ck_assert_int_eq(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    siginfo_t info = reap(pidfd);
    ck_assert_int_eq(info.si_pid, stand.report->leader);
    ck_assert_int_eq(info.si_code, CLD_EXITED);
    ck_assert_int_eq(sscanf(stand_output(&stand), "pid %d\n", &pid), 1);
    ck_assert_int_eq(pid, stand.report->leader);
}
END_TEST

START_TEST(tells_the_stage_of_a_failed_exec_and_leaves_nobody) {
    static const struct {
        const char *program;
        int error;
    } cases[] = {{"/nowhere/program", ENOENT}, {"/etc/passwd", EACCES}, {"/etc/passwd/x", ENOTDIR}};
    int before = watch_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int pidfd = -7;
        stand_argv(&plan, cases[i].program, NULL);
        ck_assert_int_eq(run(ways[_i], &pidfd), -cases[i].error);
        ck_assert_int_eq(stand.report->stage, STAGE_EXEC);
        ck_assert_int_eq(stand.report->error, cases[i].error);
        ck_assert_int_eq(pidfd, 0); // none
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
    }
    ck_assert_int_eq(watch_descriptors(), before);
}
END_TEST

START_TEST(tells_the_stage_of_every_failing_step) {
    int pidfd = -1;
    stand_drop_root();
    plan.set_nice = true;
    plan.nice = -5;
    ck_assert_int_eq(run(ways[_i], &pidfd), -EACCES);
    ck_assert_int_eq(stand.report->stage, STAGE_NICE);
    plan.set_nice = false;
    plan.set_identity = true;
    ck_assert_int_eq(run(ways[_i], &pidfd), -EPERM);
    ck_assert_int_eq(stand.report->stage, STAGE_IDENTITY);
    plan.set_identity = false;
    plan.cwd[strlen(plan.cwd) - 1] ^= 1;
    ck_assert_int_eq(run(ways[_i], &pidfd), -ENOENT);
    ck_assert_int_eq(stand.report->stage, STAGE_CWD);
    plan.cwd[strlen(plan.cwd) - 1] ^= 1;
    plan.err = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("none/file"), .fd = -1};
    ck_assert_int_eq(run(ways[_i], &pidfd), -ENOENT);
    ck_assert_int_eq(stand.report->stage, STAGE_STDIO);
    ck_assert_int_eq(pidfd, 0);
    ck_assert_uint_eq(watch_children(), 0);
}
END_TEST

START_TEST(a_failure_is_forgotten_by_the_next_launch) {
    int pidfd = -1;
    stand_argv(&plan, "/nowhere/program", NULL);
    ck_assert_int_eq(run(ways[_i], &pidfd), -ENOENT);
    stand_argv(&plan, TEST_CHILD, "exit");
    ck_assert_int_eq(run(ways[_i], &pidfd), 0);
    ck_assert_int_eq(stand.report->stage, STAGE_NONE);
    ck_assert_int_eq(stand.report->error, 0);
    ck_assert_int_eq(reap(pidfd).si_status, 0);
}
END_TEST

// The child shares the table until it has unshared it: what it lays and closes must be its own.
START_TEST(slots_and_descriptors_survive) {
    struct stat before[SLOT_COUNT], after;
    struct stat std[3];
    for (int i = 0; i < SLOT_COUNT; i++)
        ck_assert_int_eq(fstat(stand.setup.slots[i], &before[i]), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fstat(i, &std[i]), 0);
    int high = fcntl(stand.output, F_DUPFD_CLOEXEC, 500), count = watch_descriptors();
    for (int round = 0; round < 20; round++) {
        int pidfd = -1;
        stand_argv(&plan, round % 2 ? TEST_CHILD : "/nowhere/program", "exit");
        if (run(ways[_i], &pidfd) == 0)
            reap(pidfd);
    }
    ck_assert_int_eq(watch_descriptors(), count);
    ck_assert_int_eq(fcntl(high, F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < SLOT_COUNT; i++) {
        ck_assert_int_eq(fstat(stand.setup.slots[i], &after), 0);
        ck_assert_uint_eq(after.st_ino, before[i].st_ino);
        ck_assert_int_eq(fcntl(stand.setup.slots[i], F_GETFD), FD_CLOEXEC);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fstat(i, &after), 0);
        ck_assert_uint_eq(after.st_ino, std[i].st_ino);
    }
    close(high);
}
END_TEST

struct hanging {
    struct spawn spawn;
    int result, pidfd;
};

static void *hanging_main(void *data) {
    struct hanging *h = data;
    h->result = spawn_run(&h->spawn, &h->pidfd);
    return NULL;
}

// Opening a FIFO that nobody reads waits for ever, as an exec from a dead file server does.
START_TEST(a_launch_that_hangs_before_its_exec_can_be_killed) {
    char path[128];
    pthread_t thread;
    snprintf(path, sizeof(path), "%s/file", stand.dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup(path), .fd = -1};
    struct hanging h = {.spawn = stand_spawn(&stand, ways[_i], &plan), .pidfd = -1};
    *stand.report = (struct child_report){.leader = 0};
    ck_assert_int_eq(pthread_create(&thread, NULL, hanging_main, &h), 0);
    while (stand.report->leader == 0)
        sched_yield();
    watch_until(stand.report->leader, 'S');
    ck_assert_int_eq(kill(stand.report->leader, SIGKILL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(h.result, 0);
    siginfo_t info = reap(h.pidfd);
    ck_assert_int_eq(info.si_code, CLD_KILLED);
    ck_assert_int_eq(info.si_status, SIGKILL);
    ck_assert_str_eq(stand_output(&stand), "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/spawn");
    TCase *group = suite_case(suite, "both ways", setup, teardown);
    const int count = ARRAY_SIZE(ways);
    tcase_add_loop_test(group, gives_the_pid_and_a_pidfd_of_the_leader, 0, count);
    tcase_add_loop_test(group, tells_the_stage_of_a_failed_exec_and_leaves_nobody, 0, count);
    tcase_add_loop_test(group, tells_the_stage_of_every_failing_step, 0, count);
    tcase_add_loop_test(group, a_failure_is_forgotten_by_the_next_launch, 0, count);
    tcase_add_loop_test(group, slots_and_descriptors_survive, 0, count);
    tcase_add_loop_test(group, a_launch_that_hangs_before_its_exec_can_be_killed, 0, count);
    return suite_run(suite);
}
