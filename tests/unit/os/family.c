// Processes that stand and wait.
#include "tests/unit/os/family.h"

#include <check.h>
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

pid_t family_orphan(const char *name) {
    int ends[2];
    pid_t orphan;
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        if (fork() > 0)
            _exit(0);
        if (name)
            prctl(PR_SET_NAME, name);
        orphan = getpid();
        if (write(ends[1], &orphan, sizeof(orphan)) != sizeof(orphan))
            _exit(1);
        stand_and_wait();
    }
    ck_assert_int_eq(read(ends[0], &orphan, sizeof(orphan)), sizeof(orphan));
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    close(ends[0]);
    close(ends[1]);
    return orphan;
}
