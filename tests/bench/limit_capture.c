// limit_capture HEAD TAIL PROGRAM [ARG...]: the limit of capturing. Runs PROGRAM with stdout on a pipe of
// 1 MiB, copies the first HEAD bytes and, into a ring, the last TAIL. Prints bytes and seconds.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/bench/report.h"

#define ME "limit_capture"
#define PIPE_BYTES (1 << 20)

struct capture {
    char *head, *ring; // owned
    size_t head_bytes, ring_bytes;
    uint64_t bytes; // seen so far
};

static void capture_add(struct capture *c, const char *data, size_t size) {
    while (size > 0) {
        char *at = c->head + c->bytes;
        size_t room = c->head_bytes - MIN(c->bytes, (uint64_t)c->head_bytes);
        if (room == 0) {
            size_t offset = (c->bytes - c->head_bytes) % c->ring_bytes;
            at = c->ring + offset;
            room = c->ring_bytes - offset;
        }
        size_t n = MIN(size, room);
        memcpy(at, data, n);
        c->bytes += n;
        data += n;
        size -= n;
    }
}

static pid_t capture_spawn(char **argv, int *ret_fd) {
    int fds[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(fds, O_CLOEXEC) < 0)
        report_fail(ME, "pipe2", errno);
    // An unprivileged user over the pipe quota keeps the default size: slower, still a valid limit there.
    (void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int r = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (r != 0)
        report_fail(ME, argv[0], r);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: limit_capture HEAD TAIL PROGRAM [ARG...]\n");
        return 2;
    }
    struct capture c = {
        .head_bytes = report_number(ME, "HEAD", argv[1]),
        .ring_bytes = report_number(ME, "TAIL", argv[2]),
    };
    _cleanup_free_ char *head = c.head = malloc(c.head_bytes);
    _cleanup_free_ char *ring = c.ring = malloc(c.ring_bytes);
    _cleanup_free_ char *buffer = malloc(PIPE_BYTES);
    if (!head || !ring || !buffer)
        report_fail(ME, "memory", ENOMEM);

    double start = now_mono();
    _cleanup_close_ int fd = -1;
    pid_t pid = capture_spawn(argv + 3, &fd);
    ssize_t n;
    while ((n = read(fd, buffer, PIPE_BYTES)) > 0)
        capture_add(&c, buffer, (size_t)n);
    int status;
    if (n < 0 || waitpid(pid, &status, 0) < 0)
        report_fail(ME, "reading the program's output", errno);
    if (status != 0)
        report_fail(ME, "the program did not end with 0", 0);
    printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)c.bytes, now_mono() - start);
    return 0;
}
