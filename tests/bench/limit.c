// limit JOBS WINDOW PROGRAM [ARG...]: the limit that a supervisor is held against. Runs PROGRAM that many
// times, WINDOW of them at once, from one thread: two pipes, posix_spawn, both read to their ends, waitpid.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/bench/report.h"

#define ME "limit"

struct slot {
    pid_t pid; // 0: free
    double started;
};

struct limit {
    char **argv;
    size_t window, jobs, begun, done;
    struct slot *slots;   // window of them, owned
    struct pollfd *polls; // two a slot, stdout and stderr; fd -1: closed. Owned
    double *latencies;    // of the jobs done, owned
};

static void limit_begin(struct limit *l, size_t i) {
    int out[2], err[2];
    posix_spawn_file_actions_t actions;
    l->slots[i].started = now_mono();
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        report_fail(ME, "pipe2", errno);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    int r = posix_spawn(&l->slots[i].pid, l->argv[0], &actions, NULL, l->argv, environ);
    if (r != 0)
        report_fail(ME, l->argv[0], r);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    l->polls[2 * i] = (struct pollfd){.fd = out[0], .events = POLLIN};
    l->polls[2 * i + 1] = (struct pollfd){.fd = err[0], .events = POLLIN};
    l->begun++;
}

static void limit_end(struct limit *l, size_t i) {
    int status;
    if (waitpid(l->slots[i].pid, &status, 0) < 0)
        report_fail(ME, "waitpid", errno);
    if (status != 0)
        report_fail(ME, "the program did not end with 0", 0);
    l->latencies[l->done++] = now_mono() - l->slots[i].started;
    l->slots[i].pid = 0;
}

static void limit_read(struct limit *l, size_t p) {
    static char buffer[65536];
    ssize_t n = read(l->polls[p].fd, buffer, sizeof(buffer));
    if (n < 0)
        report_fail(ME, "read", errno);
    if (n > 0)
        return;
    l->polls[p].fd = fd_close(l->polls[p].fd);
    if (l->polls[p ^ 1].fd >= 0)
        return;
    limit_end(l, p / 2);
    if (l->begun < l->jobs)
        limit_begin(l, p / 2);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: limit JOBS WINDOW PROGRAM [ARG...]\n");
        return 2;
    }
    struct limit l = {.argv = argv + 3};
    l.jobs = report_number(ME, "JOBS", argv[1]);
    l.window = MIN(report_number(ME, "WINDOW", argv[2]), l.jobs);
    _cleanup_free_ struct slot *slots = l.slots = calloc(l.window, sizeof(*l.slots));
    _cleanup_free_ struct pollfd *polls = l.polls = calloc(2 * l.window, sizeof(*l.polls));
    _cleanup_free_ double *latencies = l.latencies = calloc(l.jobs, sizeof(*l.latencies));
    if (!slots || !polls || !latencies)
        report_fail(ME, "memory", ENOMEM);

    double start = now_mono();
    for (size_t i = 0; i < l.window; i++)
        limit_begin(&l, i);
    while (l.done < l.jobs) {
        if (poll(l.polls, 2 * l.window, -1) < 0)
            report_fail(ME, "poll", errno);
        for (size_t p = 0; p < 2 * l.window; p++)
            if (l.polls[p].fd >= 0 && l.polls[p].revents) {
                // A job begun here lies in the same two entries, with no events seen yet.
                l.polls[p].revents = 0;
                limit_read(&l, p);
            }
    }
    report_print(l.latencies, l.done, now_mono() - start);
    return 0;
}
