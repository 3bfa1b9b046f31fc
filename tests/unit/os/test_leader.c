// leader: status, usage and signals of a direct child, through its pidfd.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/leader.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

struct watched {
    struct leader leader;
    struct leader_exit end;
    int calls, held;
};

static void on_end(struct ev_loop *loop, struct ev_io *io, int events) {
    struct watched *w = io->data;
    if (leader_reap(&w->leader, loop, &w->end)) {
        leader_close(&w->leader);
        w->calls++;
    } else {
        w->held++;
    }
}

static struct ev_loop *loop;

static void setup(void) {
    loop = ev_loop_new(EVFLAG_NOENV);
}

static void teardown(void) {
    ev_loop_destroy(loop);
}

static void watch_pid(struct watched *w, pid_t pid) {
    *w = (struct watched){.leader = {.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)}};
    ck_assert_int_ge(w->leader.pidfd, 0);
    leader_watch(&w->leader, loop, on_end, w);
}

static void expect_reaped(struct watched *w) {
    ev_run(loop, 0); // comes back as soon as nothing is watched
    ck_assert_int_eq(w->calls, 1);
    ck_assert_int_eq(w->leader.pidfd, -1);
    ck_assert_int_eq(leader_signal(&w->leader, SIGTERM), -ESRCH);
    ck_assert_int_eq(waitpid(w->leader.pid, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    leader_done(&w->leader, loop);
}

static pid_t forever(void) {
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    ck_assert_int_gt(pid, 0);
    return pid;
}

START_TEST(an_exit_code_comes_with_its_usage) {
    struct watched w;
    int before = watch_descriptors();
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec used = {0};
        while (used.tv_nsec < 30000000 && used.tv_sec == 0)
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        _exit(_i);
    }
    watch_pid(&w, pid);
    expect_reaped(&w);
    ck_assert(w.end.known && !w.end.core_dumped);
    ck_assert_int_eq(w.end.exit_code, _i);
    ck_assert_int_eq(w.end.signal, 0);
    ck_assert(w.end.usage.user + w.end.usage.system >= 0.02);
    ck_assert_int_gt(w.end.usage.max_rss_bytes, 4096);
    ck_assert_int_gt(w.end.usage.minor_faults, 0);
    ck_assert_int_eq(watch_descriptors(), before);
}
END_TEST

START_TEST(a_signal_is_told_as_such) {
    struct watched w;
    const struct rlimit no_core = {0, 0};
    const int signals[] = {SIGKILL, SIGTERM, SIGABRT};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGTERM, SIG_DFL);
    watch_pid(&w, forever());
    ck_assert_int_eq(leader_signal(&w.leader, signals[_i]), 0);
    expect_reaped(&w);
    ck_assert(w.end.known && !w.end.core_dumped);
    ck_assert_int_eq(w.end.signal, signals[_i]);
    ck_assert_int_eq(w.end.exit_code, -1);
}
END_TEST

START_TEST(each_of_many_gets_its_own_end) {
    struct watched w[20];
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(i);
        watch_pid(&w[i], pid);
    }
    ev_run(loop, 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(w[i].calls, 1);
        ck_assert_int_eq(w[i].end.exit_code, i);
    }
}
END_TEST

// The status of one that is not ours cannot be had; whoever waits still learns of the end.
START_TEST(what_is_no_child_of_ours_ends_unknown) {
    struct watched w;
    int pipe_fds[2];
    pid_t grandchild;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t pid = forever();
        if (write(pipe_fds[1], &pid, sizeof(pid)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(pipe_fds[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    watch_pid(&w, grandchild);
    ck_assert_int_eq(leader_signal(&w.leader, SIGKILL), 0);
    expect_reaped(&w);
    ck_assert(!w.end.known);
    ck_assert_int_eq(w.end.exit_code, -1);
    ck_assert_int_eq(w.end.signal, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

static void expect_told(int fd) {
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

// Its end is the tracer's to read until that lets go of it: nobody here may wait for that.
START_TEST(one_that_is_traced_is_reaped_when_its_tracer_lets_go) {
    struct watched w;
    int seized[2], end[2];
    int before = watch_descriptors();
    ck_assert_int_eq(pipe(seized) | pipe(end), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); // where yama asks for it
        _exit(read(end[0], &byte, 1) == 1 ? 7 : 1);
    }
    pid_t tracer = fork();
    if (tracer == 0) {
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || write(seized[1], "x", 1) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    expect_told(seized[0]);
    watch_pid(&w, pid);
    ck_assert_int_eq(write(end[1], "x", 1), 1);
    while (w.held < 3)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(w.calls, 0);
    kill(tracer, SIGKILL);
    waitpid(tracer, NULL, 0);
    expect_reaped(&w);
    ck_assert(w.end.known);
    ck_assert_int_eq(w.end.exit_code, 7);
    for (int i = 0; i < 2; i++)
        close(seized[i]), close(end[i]);
    ck_assert_int_eq(watch_descriptors(), before);
}
END_TEST

START_TEST(letting_go_of_a_living_one_leaves_it_alone) {
    struct watched w;
    pid_t pid = forever();
    watch_pid(&w, pid);
    leader_done(&w.leader, loop);
    ev_run(loop, 0);
    ck_assert_int_eq(w.calls, 0);
    ck_assert(watch_alive(pid));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(a_status_of_wait_is_read_alike) {
    const struct rusage usage = {.ru_utime = {1, 500000},
                                 .ru_stime = {0, 250000},
                                 .ru_maxrss = 3,
                                 .ru_minflt = 4,
                                 .ru_majflt = 5,
                                 .ru_nvcsw = 6,
                                 .ru_nivcsw = 7};
    struct leader_exit end = leader_exit_from(W_EXITCODE(42, 0), &usage);
    ck_assert(end.known && !end.core_dumped);
    ck_assert_int_eq(end.exit_code, 42);
    ck_assert_int_eq(end.signal, 0);
    ck_assert_double_eq(end.usage.user, 1.5);
    ck_assert_double_eq(end.usage.system, 0.25);
    ck_assert_int_eq(end.usage.max_rss_bytes, 3072);
    ck_assert_int_eq(end.usage.minor_faults, 4);
    ck_assert_int_eq(end.usage.major_faults, 5);
    ck_assert_int_eq(end.usage.voluntary_switches, 6);
    ck_assert_int_eq(end.usage.involuntary_switches, 7);
    end = leader_exit_from(W_EXITCODE(0, SIGABRT) | WCOREFLAG, &usage);
    ck_assert(end.known && end.core_dumped);
    ck_assert_int_eq(end.signal, SIGABRT);
    ck_assert_int_eq(end.exit_code, -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/leader");
    TCase *group = suite_case(suite, "leader", setup, teardown);
    tcase_add_loop_test(group, an_exit_code_comes_with_its_usage, 0, 2);
    tcase_add_loop_test(group, an_exit_code_comes_with_its_usage, 255, 256);
    tcase_add_loop_test(group, a_signal_is_told_as_such, 0, 3);
    tcase_add_test(group, each_of_many_gets_its_own_end);
    tcase_add_test(group, what_is_no_child_of_ours_ends_unknown);
    tcase_add_test(group, one_that_is_traced_is_reaped_when_its_tracer_lets_go);
    tcase_add_test(group, letting_go_of_a_living_one_leaves_it_alone);
    tcase_add_test(group, a_status_of_wait_is_read_alike);
    return suite_run(suite);
}
