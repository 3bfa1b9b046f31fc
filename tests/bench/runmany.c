// runmany COUNT PROGRAM [ARG...]: runs a whole program COUNT times, one after another, its output on
// /dev/null, and reports what one takes until it is reaped. Exits with 1 if one does not end with 0.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/bench/report.h"

#define ME "runmany"

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: runmany COUNT PROGRAM [ARG...]\n");
        return 2;
    }
    size_t count = report_number(ME, "COUNT", argv[1]);
    _cleanup_free_ double *latencies = calloc(count, sizeof(*latencies));
    if (!latencies)
        report_fail(ME, "memory", ENOMEM);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

    double start = now_mono();
    for (size_t i = 0; i < count; i++) {
        pid_t pid;
        int status;
        double began = now_mono();
        int r = posix_spawn(&pid, argv[2], &actions, NULL, argv + 2, environ);
        if (r != 0)
            report_fail(ME, argv[2], r);
        if (waitpid(pid, &status, 0) < 0)
            report_fail(ME, "waitpid", errno);
        latencies[i] = now_mono() - began;
        if (status != 0)
            report_fail(ME, "the program did not end with 0", 0);
    }
    report_print(latencies, count, now_mono() - start);
    posix_spawn_file_actions_destroy(&actions);
    return 0;
}
