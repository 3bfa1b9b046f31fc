// client SOCKET JOBS WINDOW PROGRAM [ARG...]: the load client. Sends JOBS times job.run of PROGRAM over one
// connection, WINDOW of them unanswered at a time, and reports how long answers took. It parses as little as
// proves that each was answered once, with a job that exited with 0: its own cost is part of the measurement.
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/util.h"
#include "tests/bench/report.h"

#define ME "client"
#define INPUT_BYTES ((size_t)4 << 20)
#define WINDOW_MAX 1024 // writing blocks, so what is on the way must stay far below what a daemon queues

struct client {
    int fd;
    char *tail; // of a request, after its id; owned
    size_t tail_size;
    size_t jobs, sent, done;
    double *started;   // by request, 0 once answered; owned
    double *latencies; // in the order of the answers; owned
    char *input;       // INPUT_BYTES, owned
    size_t input_size;
};

static int client_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        report_fail(ME, path, ENAMETOOLONG);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        report_fail(ME, path, errno);
    return fd;
}

// The end of each request: the method and the argv, which no word may need escaping in.
static char *client_tail(char **argv, size_t *ret_size) {
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    if (!out)
        report_fail(ME, "memory", ENOMEM);
    fputs("\",\"method\":\"job.run\",\"params\":{\"argv\":[", out);
    for (size_t i = 0; argv[i]; i++) {
        for (const char *s = argv[i]; *s; s++)
            if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
                report_fail(ME, "an argument would need escaping in JSON", 0);
        fprintf(out, "%s\"%s\"", i ? "," : "", argv[i]);
    }
    fputs("]}}\n", out);
    fclose(out);
    return text;
}

static void client_send(struct client *c) {
    char line[8192];
    int head = snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":\"bench-%zu", c->sent);
    if ((size_t)head + c->tail_size > sizeof(line))
        report_fail(ME, "the arguments are too long", 0);
    memcpy(line + head, c->tail, c->tail_size);
    size_t size = (size_t)head + c->tail_size;
    c->started[c->sent++] = now_mono();
    for (size_t at = 0; at < size;) {
        ssize_t n = send(c->fd, line + at, size - at, MSG_NOSIGNAL);
        if (n < 0)
            report_fail(ME, "send", errno);
        at += (size_t)n;
    }
}

static bool client_holds(const char *line, size_t size, const char *text) {
    return memmem(line, size, text, strlen(text));
}

// One answer, without its newline.
static void client_answer(struct client *c, const char *line, size_t size) {
    const char *id = memmem(line, size, "\"bench-", strlen("\"bench-"));
    size_t number = id ? strtoull(id + strlen("\"bench-"), NULL, 10) : c->sent;
    bool good = client_holds(line, size, "\"result\"") && client_holds(line, size, "\"exited\"") &&
                (client_holds(line, size, "\"exit_code\":0") || client_holds(line, size, "\"exit_code\": 0"));
    if (!good || number >= c->sent) {
        int shown = (int)MIN(size, (size_t)2000);
        fprintf(stderr, ME ": an answer is not a job that exited with 0: %.*s\n", shown, line);
        exit(1);
    }
    if (c->started[number] == 0)
        report_fail(ME, "a request was answered twice", 0);
    c->latencies[c->done++] = now_mono() - c->started[number];
    c->started[number] = 0;
    if (c->sent < c->jobs)
        client_send(c);
}

static void client_read(struct client *c) {
    ssize_t n = recv(c->fd, c->input + c->input_size, INPUT_BYTES - c->input_size, 0);
    if (n <= 0)
        report_fail(ME, "the daemon closed the connection", n < 0 ? errno : 0);
    // What was there before held no newline: only the new bytes are looked at.
    char *search = c->input + c->input_size, *line = c->input;
    c->input_size += (size_t)n;
    char *end = c->input + c->input_size, *newline;
    while ((newline = memchr(search, '\n', (size_t)(end - search)))) {
        client_answer(c, line, (size_t)(newline - line));
        line = search = newline + 1;
    }
    c->input_size = (size_t)(end - line);
    memmove(c->input, line, c->input_size);
    if (c->input_size == INPUT_BYTES)
        report_fail(ME, "an answer is too long", 0);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: client SOCKET JOBS WINDOW PROGRAM [ARG...]\n");
        return 2;
    }
    struct client c = {.jobs = report_number(ME, "JOBS", argv[2])};
    size_t window = MIN(report_number(ME, "WINDOW", argv[3]), MIN(c.jobs, (size_t)WINDOW_MAX));
    _cleanup_free_ char *tail = client_tail(argv + 4, &c.tail_size);
    _cleanup_free_ double *started = c.started = calloc(c.jobs, sizeof(*c.started));
    _cleanup_free_ double *latencies = c.latencies = calloc(c.jobs, sizeof(*c.latencies));
    _cleanup_free_ char *input = c.input = malloc(INPUT_BYTES);
    if (!started || !latencies || !input)
        report_fail(ME, "memory", ENOMEM);
    _cleanup_close_ int fd = client_connect(argv[1]);
    c.tail = tail;
    c.fd = fd;

    double start = now_mono();
    for (size_t i = 0; i < window; i++)
        client_send(&c);
    while (c.done < c.jobs)
        client_read(&c);
    report_print(c.latencies, c.done, now_mono() - start);
    return 0;
}
