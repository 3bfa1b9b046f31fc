// fuzz_answer: any bytes as what a daemon sends to supctl: answers, notifications, stored streams and where they lie; all of
// it is shown as supctl would.
//
// Of the input, the first byte says how much of the stored streams comes along.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/call.h"
#include "client/exit_code.h"
#include "client/outcome.h"
#include "client/output.h"
#include "client/print.h"
#include "client/report.h"
#include "common/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
    struct call *call;
    struct output output;
    bool is_lost;
};

static int stored_fd(size_t size) {
    static const char text[256];
    int fd = memfd_create("stored", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        exit(1);
    return fd;
}

static void show_job(const json_t *job) {
    char text[64];
    if (!json_is_object(job))
        return;
    print_outcome(job, text);
    report_print(job);
    outcome_tell(job);
}

static void take(struct scene *scene, const json_t *answer) {
    const json_t *layout = json_object_get(answer, "layout"), *extents = json_object_get(answer, "extents");
    struct ancillary came = call_take(scene->call);
    if (layout && !stored_is_open(&scene->output.stored))
        stored_open(&scene->output.stored, layout, &came);
    ancillary_close(&came);
    output_take(&scene->output, answer);
    if (extents && stored_is_open(&scene->output.stored))
        output_extents(&scene->output, 0, extents, json_integer_value(json_object_get(answer, "total")));
}

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
    struct scene *scene = data;
    if (!result) {
        print_error("%s", fault->text);
        return;
    }
    show_job(json_object_get(result, "job"));
    if (json_is_array(json_object_get(result, "jobs")))
        print_jobs(json_object_get(result, "jobs"));
    print_figures(result);
    take(scene, result);
}

static void on_notification(const char *method, json_t *params, void *data) {
    struct scene *scene = data;
    show_job(json_object_get(params, "job"));
    if (json_is_object(params))
        print_json(params);
    json_t *next = json_object();
    take(scene, params);
    if (streq(method, "rewind"))
        output_rewind(&scene->output, next);
    json_decref(next);
}

static void on_lost(void *data) {
    ((struct scene *)data)->is_lost = true;
}

static const struct call_listener listener = {on_answer, on_notification, on_lost};

static void silence(void) {
    static bool is_done;
    if (is_done)
        return;
    is_done = true;
    FILE *nothing = fopen("/dev/null", "we");
    if (!nothing || dup2(fileno(nothing), STDOUT_FILENO) < 0)
        exit(1);
    stderr = nothing; // of the program's own; what breaks is told by the descriptor
}

static void send_all(int peer, const uint8_t *data, size_t size, size_t stored) {
    int fds[2] = {stored_fd(stored), stored_fd(stored / 2)};
    if (size > 0 && ancillary_send(peer, data, size, fds, stored > 0 ? 2 : 0) != (ssize_t)size)
        exit(1);
    close(fds[0]);
    close(fds[1]);
    shutdown(peer, SHUT_WR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scene scene = {.is_lost = false};
    int ends[2];
    if (size < 1)
        return 0;
    silence();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || call_new(ends[0], &scene.call) < 0)
        exit(1);
    output_init(&scene.output, scene.call, &scene);
    ev_io_set(&scene.output.sinks[1].writable, STDOUT_FILENO, EV_WRITE); // what breaks is told on stderr
    call_listen(scene.call, &listener, &scene);
    send_all(ends[1], data + 1, size - 1, data[0]);
    size_t turns = 4;
    for (size_t i = 1; i < size; i++)
        turns += data[i] == '\n';
    for (size_t i = 0; i < turns + 4 && !scene.is_lost; i++) {
        char asked[4096];
        ev_run(call_loop(scene.call), EVRUN_NOWAIT);
        while (recv(ends[1], asked, sizeof(asked), MSG_DONTWAIT) > 0)
            ;
        if (i == turns)
            shutdown(ends[1], SHUT_RDWR);
    }
    fflush(stdout);
    output_done(&scene.output);
    call_free(scene.call);
    close(ends[1]);
    return 0;
}
