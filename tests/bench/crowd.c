// crowd SOCKET follow JOB READING SLEEPING: so many connections follow a job; the first READING read and discard, the others
// never read. crowd SOCKET noise SILENT: one asks as fast as it is answered, one asks and never reads, SILENT say nothing.
// Prints a line when all of them are there, and goes on until it is ended.
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"
#include "tests/bench/report.h"

#define ME "crowd"

enum { READ_MAX = 1 << 18, ASKED_AT_ONCE = 64, EVENTS = 64 };

static const char question[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.info\"}\n";
static char buffer[READ_MAX];

static int crowd_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        report_fail(ME, path, ENAMETOOLONG);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        report_fail(ME, path, errno);
    return fd;
}

static void crowd_say(int fd, const char *text, size_t size) {
    if (write(fd, text, size) != (ssize_t)size)
        report_fail(ME, "write", errno);
}

static void crowd_watch(int epoll, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        report_fail(ME, "epoll_ctl", errno);
}

static void crowd_follow(int epoll, char **argv) {
    char line[160];
    int reading = atoi(argv[4]), all = reading + atoi(argv[5]);
    int size = snprintf(
        line, sizeof(line),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"job.output\",\"params\":{\"id\":%s,\"follow\":true}}\n", argv[3]);
    for (int i = 0; i < all; i++) {
        int fd = crowd_connect(argv[1]);
        crowd_say(fd, line, (size_t)size);
        if (i < reading)
            crowd_watch(epoll, fd, EPOLLIN);
    }
}

static int crowd_noise(int epoll, char **argv) {
    for (int i = 0; i < atoi(argv[3]); i++)
        crowd_connect(argv[1]);
    int deaf = crowd_connect(argv[1]);
    while (send(deaf, question, sizeof(question) - 1, MSG_DONTWAIT) > 0) // as long as somebody takes it
        poll(NULL, 0, 0);
    int asking = crowd_connect(argv[1]);
    for (int i = 0; i < ASKED_AT_ONCE; i++)
        crowd_say(asking, question, sizeof(question) - 1);
    crowd_watch(epoll, asking, EPOLLIN);
    return asking;
}

// Reads what is there, and asks once more for each answer.
static void crowd_read(int fd, int asking) {
    ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0)
        exit(EXIT_SUCCESS);
    if (fd != asking)
        return;
    for (const char *at = buffer; (at = memchr(at, '\n', (size_t)(buffer + n - at))); at++)
        crowd_say(fd, question, sizeof(question) - 1);
}

int main(int argc, char **argv) {
    int epoll = epoll_create1(EPOLL_CLOEXEC), asking = -1;
    if (argc == 6 && streq(argv[2], "follow"))
        crowd_follow(epoll, argv);
    else if (argc == 4 && streq(argv[2], "noise"))
        asking = crowd_noise(epoll, argv);
    else
        report_fail(ME, "what to do", EINVAL);
    puts("{}");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            crowd_read(events[i].data.fd, asking);
    }
}
