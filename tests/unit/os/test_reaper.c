// supd-reaper: the program, told by its socket; what it does with what is there at once.
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/os/reaper_wire.h"
#include "tests/unit/suite.h"

static int control; // ours
static pid_t reaper;

static void order(int ask, int value) {
    const struct reaper_order order = {.ask = ask, .value = value};
    ck_assert_int_eq(send(control, &order, sizeof(order), MSG_DONTWAIT), sizeof(order));
}

static _Noreturn void become_reaper(int theirs) {
    char leader[16];
    pid_t pid = fork();
    if (pid == 0) { // it execs nothing: what it had open would stay so
        close(control);
        close(theirs);
        for (;;)
            pause();
    }
    snprintf(leader, sizeof(leader), "%d", pid);
    if (dup2(theirs, 3) == 3)
        execl(TEST_REAPER, "supd-reaper", leader, "kill", (char *)NULL);
    _exit(127);
}

// What was ordered before is all there when it begins.
static void begin(int theirs) {
    reaper = fork();
    ck_assert_int_ge(reaper, 0);
    if (reaper == 0)
        become_reaper(theirs);
    close(theirs);
}

// But for answers, which may come at any time.
static struct reaper_report heard(void) {
    struct reaper_report report = {.told = REAPER_USED};
    while (report.told == REAPER_USED)
        ck_assert_int_eq(recv(control, &report, sizeof(report), 0), sizeof(report));
    return report;
}

// The leader's, behind which the tree is empty and the reaper over. Everybody there is to be killed then.
static int end(void) {
    const struct reaper_report exit = heard(), empty = heard();
    ck_assert_int_eq(exit.told, REAPER_EXIT);
    ck_assert_int_eq(empty.told, REAPER_EMPTY);
    int status;
    ck_assert_int_eq(waitpid(reaper, &status, 0), reaper);
    ck_assert_int_eq(status, 0);
    close(control);
    ck_assert(WIFSIGNALED(exit.status));
    return WTERMSIG(exit.status);
}

static int pair(void) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    control = ends[0];
    return ends[1];
}

START_TEST(a_signal_is_carried_out) {
    int theirs = pair();
    order(REAPER_SIGNAL, SIGUSR1);
    begin(theirs);
    ck_assert_int_eq(end(), SIGUSR1);
}
END_TEST

START_TEST(a_kill_waits_for_no_signals_before_it) {
    int theirs = pair();
    for (int i = 0; i < 20; i++) {
        order(REAPER_SIGNAL, SIGUSR1);
        order(REAPER_SIGNAL_LEADER, SIGRTMIN);
    }
    order(REAPER_KILL, 0);
    begin(theirs);
    ck_assert_int_eq(end(), SIGKILL);
}
END_TEST

// By a thread of its own, beside the rest: the leader ends while it may be at it.
START_TEST(a_question_about_the_clock_is_answered) {
    struct reaper_report report = {0};
    int theirs = pair();
    order(REAPER_CPU, 0);
    begin(theirs);
    ck_assert_int_eq(recv(control, &report, sizeof(report), 0), sizeof(report));
    ck_assert_int_eq(report.told, REAPER_USED);
    order(REAPER_CPU, 0);
    order(REAPER_KILL, 0);
    ck_assert_int_eq(end(), SIGKILL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/reaper");
    TCase *group = suite_case(suite, "orders", NULL, NULL);
    tcase_add_test(group, a_signal_is_carried_out);
    tcase_add_test(group, a_kill_waits_for_no_signals_before_it);
    tcase_add_test(group, a_question_about_the_clock_is_answered);
    return suite_run(suite);
}
