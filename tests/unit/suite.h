// suite: one libcheck suite as a program, each test in a process of its own.
#pragma once

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { SUITE_TIMEOUT = 60 }; // seconds until a test that hangs is ended; none waits for it

// A new group of tests. `setup` and `teardown` run in the test's own process; either may be NULL.
static inline TCase *suite_case(Suite *suite, const char *name, void (*setup)(void), void (*teardown)(void)) {
    TCase *group = tcase_create(name);
    tcase_set_timeout(group, SUITE_TIMEOUT);
    if (setup || teardown)
        tcase_add_checked_fixture(group, setup, teardown);
    suite_add_tcase(suite, group);
    return group;
}

// libcheck's handler, which kills the test, is for its own clock: a test's alarm (common/closing) is none of it.
static inline void suite_own_alarm(void) {
    signal(SIGALRM, SIG_DFL);
}

// Runs it, prints the sum and what failed. Returns the exit status of the program.
static inline int suite_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    pthread_atfork(NULL, NULL, suite_own_alarm);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
