// Processes that stand and wait.
#include "tests/unit/os/family.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void stand_and_wait(void) {
    for (;;)
        pause();
}

static void line_fork(int out, int left) {
    pid_t pid = fork();
    if (pid != 0)
        return;
    setsid();
    pid = getpid();
    if (write(out, &pid, sizeof(pid)) != sizeof(pid))
        _exit(1);
    if (left > 1)
        line_fork(out, left - 1);
    stand_and_wait();
}

void family_line(pid_t pids[FAMILY_SIZE]) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    line_fork(ends[1], FAMILY_SIZE);
    for (int i = 0; i < FAMILY_SIZE; i++)
        ck_assert_int_eq(read(ends[0], &pids[i], sizeof(pids[i])), sizeof(pids[i]));
    close(ends[0]);
    close(ends[1]);
}

// Its end of the pipe is closed by the exec. `has_child`: in place of the second word its number is given.
static _Noreturn void orphan_run(int out, const char *program, const char *first, const char *second, bool has_child) {
    pid_t child = has_child ? fork() : 0, own = getpid();
    char number[16];
    snprintf(number, sizeof(number), "%d", (int)child);
    if (has_child && child == 0) {
        close(out);
        stand_and_wait();
    }
    if (write(out, &own, sizeof(own)) != sizeof(own))
        _exit(1);
    if (!program)
        close(out);
    if (!program)
        stand_and_wait();
    execl(program, program, has_child ? number : first, second, NULL);
    _exit(1);
}

static pid_t orphan_make(const char *program, const char *first, const char *second, bool has_child) {
    int ends[2];
    char byte;
    pid_t orphan;
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        if (fork() == 0)
            orphan_run(ends[1], program, first, second, has_child);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &orphan, sizeof(orphan)), sizeof(orphan));
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    return orphan;
}

pid_t family_orphan(const char *program) {
    return orphan_make(program, "sleep", "1000", false);
}

pid_t family_holder(const char *program) {
    return orphan_make(program, NULL, "keep", true);
}
