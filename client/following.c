// Running in the foreground.
#include "client/following.h"

#include <signal.h>
#include <stdio.h>

#include "client/feeding.h"
#include "client/output.h"
#include "client/print.h"
#include "common/proto.h"
#include "common/util.h"

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
enum { FORWARDED = sizeof(forwarded) / sizeof(forwarded[0]) };

struct following {
    struct call *call;
    struct output output;
    struct feeding feeding; // once the job has started
    bool feeds;
    struct ev_signal signals[FORWARDED];
    int64_t request;
    json_int_t id; // of the job; 0: not started
    json_t *job;   // once final
    struct call_fault fault;
    bool answered, lost;
};

static bool ends_by_default(int number) {
    return number != SIGWINCH;
}

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events) {
    struct following *f = w->data;
    if (f->id > 0) {
        call_post(f->call, "job.signal", json_pack("{s:I,s:s}", "id", f->id, "signal", proto_signal_name(w->signum)));
    } else if (ends_by_default(w->signum)) {
        // No process to forward it to yet: it is for supctl, whose lease takes the job along.
        int number = w->signum;
        ev_signal_stop(loop, w);
        signal(number, SIG_DFL);
        raise(number);
    }
}

static void following_watch(struct following *f) {
    for (int i = 0; i < FORWARDED; i++) {
        struct sigaction present;
        ev_signal_init(&f->signals[i], on_signal, forwarded[i]);
        f->signals[i].data = f;
        // What this process was told to ignore (nohup) stays ignored.
        if (sigaction(forwarded[i], NULL, &present) == 0 && present.sa_handler == SIG_IGN)
            continue;
        ev_signal_start(call_loop(f->call), &f->signals[i]);
        ev_unref(call_loop(f->call));
    }
}

static void following_unwatch(struct following *f) {
    for (int i = 0; i < FORWARDED; i++) {
        if (!ev_is_active(&f->signals[i]))
            continue;
        ev_ref(call_loop(f->call));
        ev_signal_stop(call_loop(f->call), &f->signals[i]);
    }
}

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
    struct following *f = data;
    if (feeding_answer(&f->feeding, id, result != NULL) || id != f->request)
        return; // of a signal: a job that is over takes none
    f->answered = true;
    f->job = json_incref(json_object_get(result, "job"));
    f->fault = *fault;
}

static void on_notification(const char *method, json_t *params, void *data) {
    struct following *f = data;
    if (streq(method, "job.started")) {
        f->id = json_integer_value(json_object_get(json_object_get(params, "job"), "id"));
        if (f->feeds)
            feeding_begin(&f->feeding, f->call, f->id);
    } else if (streq(method, "job.output")) {
        output_take(&f->output, params);
    }
}

static void on_lost(void *data) {
    ((struct following *)data)->lost = true;
}

static const struct call_listener following_listener = {on_answer, on_notification, on_lost};

static int following_end(struct following *f, json_t **ret_job) {
    if (f->output.last_error) {
        print_error("run: writing the output: %s", strerror(f->output.last_error));
        return -1;
    }
    if (f->job) {
        *ret_job = TAKE_PTR(f->job);
        return 0;
    }
    if (f->answered)
        print_error("run: %s", f->fault.text);
    else if (f->id > 0)
        print_error("run: supd closed the connection while job %lld ran: what became of it is not known",
                    (long long)f->id);
    else
        print_error("run: supd closed the connection");
    return -1;
}

int following_run(struct call *call, json_t *spec, json_t **ret_job) {
    const char *stdin_word = json_string_value(json_object_get(spec, "stdin"));
    struct following f = {.call = call, .feeds = stdin_word && streq(stdin_word, "stream")};
    output_init(&f.output, call, &f);
    call_listen(call, &following_listener, &f);
    following_watch(&f);
    json_object_set_new(spec, "follow", json_true());
    f.request = call_post(call, "job.run", spec);
    while (!f.answered && !f.lost && !f.output.last_error)
        ev_run(call_loop(call), EVRUN_ONCE);
    while (!output_is_empty(&f.output) && !f.output.last_error)
        ev_run(call_loop(call), EVRUN_ONCE);
    following_unwatch(&f);
    feeding_end(&f.feeding);
    call_listen(call, NULL, NULL);
    int r = following_end(&f, ret_job);
    output_done(&f.output);
    json_decref(f.job);
    return r;
}
