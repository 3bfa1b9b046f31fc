// sweep: who descends from whom, by /proc.
#include "daemon/os/sweep.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/unit/os/family.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static void end_all(const pid_t *pids, int count) {
    for (int i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    waitpid(pids[0], NULL, 0);
}

START_TEST(lists_all_below_parents_first) {
    pid_t line[FAMILY_SIZE], found[16];
    family_line(line);
    ck_assert_uint_eq(sweep_list(getpid(), found, ARRAY_SIZE(found)), FAMILY_SIZE);
    for (int i = 0; i < FAMILY_SIZE; i++)
        ck_assert_int_eq(found[i], line[i]);
    ck_assert_uint_eq(sweep_list(line[2], found, ARRAY_SIZE(found)), FAMILY_SIZE - 3);
    ck_assert_int_eq(found[0], line[3]);
    ck_assert_uint_eq(sweep_list(line[FAMILY_SIZE - 1], found, ARRAY_SIZE(found)), 0);
    end_all(line, FAMILY_SIZE);
}
END_TEST

START_TEST(writes_no_more_than_there_is_room_for) {
    pid_t line[FAMILY_SIZE], found[4] = {-7, -7, -7, -7};
    family_line(line);
    sweep_list(getpid(), found, 2);
    ck_assert_int_eq(found[0], line[0]);
    ck_assert_int_eq(found[1], line[1]);
    ck_assert_int_eq(found[2], -7);
    end_all(line, FAMILY_SIZE);
}
END_TEST

static void *thread_main(void *data) {
    pid_t *pids = data;
    family_line(pids);
    pause();
    return NULL;
}

// The kernel lists children by the thread that made them.
START_TEST(finds_the_children_of_every_thread) {
    static pid_t line[FAMILY_SIZE];
    pid_t found[16];
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, thread_main, line), 0);
    while (sweep_list(getpid(), found, ARRAY_SIZE(found)) != FAMILY_SIZE)
        sched_yield();
    ck_assert_int_eq(sweep_parent(found[0]), getpid());
    end_all(found, FAMILY_SIZE);
}
END_TEST

START_TEST(knows_a_parent_whatever_the_name) {
    pid_t line[FAMILY_SIZE];
    ck_assert_int_eq(prctl(PR_SET_NAME, ") R 1 (x) 2"), 0); // inherited by those that are forked now
    family_line(line);
    ck_assert_int_eq(sweep_parent(line[0]), getpid());
    ck_assert_int_eq(sweep_parent(line[1]), line[0]);
    end_all(line, FAMILY_SIZE);
    ck_assert_int_eq(sweep_parent(line[0]), -1); // reaped
}
END_TEST

START_TEST(signals_all_below_and_nobody_else) {
    pid_t line[FAMILY_SIZE], other[FAMILY_SIZE];
    family_line(line);
    family_line(other);
    // Not a deadly one: whose parent dies goes to the next subreaper, and here that is not line[0].
    size_t reached = sweep_signal(line[0], SIGSTOP);
    for (int i = 1; reached == FAMILY_SIZE - 1 && i < FAMILY_SIZE; i++)
        watch_until(line[i], 'T');
    bool untouched = watch_state(line[0]) != 'T';
    for (int i = 0; i < FAMILY_SIZE; i++)
        untouched &= watch_state(other[i]) != 'T';
    end_all(line, FAMILY_SIZE);
    end_all(other, FAMILY_SIZE);
    ck_assert_uint_eq(reached, FAMILY_SIZE - 1);
    ck_assert(untouched);
}
END_TEST

START_TEST(stops_those_that_run_and_says_how_many_did) {
    pid_t line[FAMILY_SIZE];
    family_line(line);
    kill(line[1], SIGSTOP);
    watch_until(line[1], 'T');
    size_t first = sweep_freeze(line[0]);
    for (int i = 1; i < FAMILY_SIZE; i++)
        watch_until(line[i], 'T');
    size_t then = sweep_freeze(line[0]);
    bool untouched = watch_state(line[0]) != 'T';
    end_all(line, FAMILY_SIZE);
    ck_assert_uint_eq(first, FAMILY_SIZE - 2);
    ck_assert_uint_eq(then, 0);
    ck_assert(untouched);
}
END_TEST

static _Noreturn void *thread_stand(void *data) {
    for (;;)
        pause();
}

START_TEST(stops_those_whose_first_thread_has_ended) {
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, thread_stand, NULL) == 0)
            syscall(SYS_exit, 0); // the thread alone
        _exit(1);
    }
    watch_until(pid, 'Z');
    size_t first = sweep_freeze(getpid());
    usleep(100000);
    size_t then = sweep_freeze(getpid());
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(then, 0);
}
END_TEST

// Whoever waits for the exec of a child is stopped only behind it, and does nothing until then.
START_TEST(is_done_with_those_who_wait_in_the_kernel) {
    pid_t pids[2], pid = fork();
    if (pid == 0) {
        if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, 0) == 0) // vfork(2), with memory of its own
            for (;;)
                pause();
        _exit(1);
    }
    watch_until(pid, 'D');
    size_t count = sweep_list(getpid(), pids, ARRAY_SIZE(pids)), first = sweep_freeze(getpid());
    watch_until(pids[1], 'T');
    size_t then = sweep_freeze(getpid());
    kill(pids[1], SIGKILL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(then, 0);
}
END_TEST

START_TEST(counts_cpu_of_a_process_and_of_what_it_waited_for) {
    ck_assert_double_eq(sweep_cpu(-1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec used = {0};
        while (used.tv_sec == 0 && used.tv_nsec < 100000000)
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        _exit(0);
    }
    double before = sweep_cpu(getpid());
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_double_ge(sweep_cpu(getpid()) - before, 0.05);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/sweep");
    TCase *group = suite_case(suite, "sweep", NULL, NULL);
    tcase_add_test(group, lists_all_below_parents_first);
    tcase_add_test(group, writes_no_more_than_there_is_room_for);
    tcase_add_test(group, finds_the_children_of_every_thread);
    tcase_add_test(group, knows_a_parent_whatever_the_name);
    tcase_add_test(group, signals_all_below_and_nobody_else);
    tcase_add_test(group, stops_those_that_run_and_says_how_many_did);
    tcase_add_test(group, stops_those_whose_first_thread_has_ended);
    tcase_add_test(group, is_done_with_those_who_wait_in_the_kernel);
    tcase_add_test(group, counts_cpu_of_a_process_and_of_what_it_waited_for);
    return suite_run(suite);
}
