// Running in the foreground.
#include "client/following.h"

#include <signal.h>
#include <stdio.h>

#include "client/feeding.h"
#include "client/keyboard.h"
#include "client/output.h"
#include "client/print.h"
#include "client/screen.h"
#include "client/terminal.h"
#include "common/proto.h"
#include "common/util.h"

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
enum {
    FORWARDED = sizeof(forwarded) / sizeof(forwarded[0]),
    ATTACH_TAIL = 16384,
    REJOINS_MAX = 20,
    RECORD_INLINE = 256 * 1024
};
#define FORWARD_PATIENCE 0.25 // seconds; timeout(1) sends its signal twice in a row

struct following {
    struct client *client;
    struct call *call;
    struct output output;
    struct feeding feeding;   // once the job has started
    struct keyboard keyboard; // instead of it, where the job has a terminal and so have we
    struct screen screen;
    bool reads, pty, attached;
    struct ev_signal signals[FORWARDED];
    json_t *spec;    // owned; of one that we run
    int64_t request; // whose answer is the final record
    int64_t lease;   // the call that takes it again
    int rejoins;     // in a row
    int64_t follow;  // of a job that was joined: the call whose output is shown
    int64_t probe;   // of such a one: the call that tells whether it takes input, not answered yet; 0: none
    json_int_t id;   // of the job; 0: not started
    json_t *next;    // {stdout, stderr}: what is shown of each
    json_t *job;     // once final
    struct call_fault fault;
    bool answered, lost, over; // over: the output has ended
    bool relayed;              // something between us and supd passes no descriptors on: by chunks instead
    int signal;                // that ends supctl; 0: none
    int64_t ending;            // the call that gave the job a signal to end, not answered yet; 0: none
    double ending_since;       // monotonic
};

static bool ends_by_default(int number) {
    return number != SIGWINCH;
}

static void die_of(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

static bool asks_for_end(int number) {
    return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

// Of what is to end the job only the first is waited for: while nothing is read from supd, as what was printed is taken by
// nobody, or supd hangs, the next one is for supctl.
static void following_forward(struct following *f, int number) {
    bool ends = asks_for_end(number);
    if (ends && f->ending && now_mono() - f->ending_since > FORWARD_PATIENCE) {
        f->signal = number;
        return;
    }
    int64_t request = call_post(f->call, "job.signal",
                                json_pack("{s:I,s:s}", "id", f->id, "signal", proto_signal_name(number)));
    if (ends && !f->ending) {
        f->ending = request;
        f->ending_since = now_mono();
    }
}

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events) {
    struct following *f = w->data;
    if (f->attached || f->lost || f->job) {
        f->signal = ends_by_default(w->signum) ? w->signum : f->signal;
    } else if (f->id > 0) {
        following_forward(f, w->signum);
    } else if (ends_by_default(w->signum)) {
        // No process to forward it to yet: it is for supctl, whose lease takes the job along.
        ev_signal_stop(loop, w);
        die_of(w->signum);
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

// Its terminal's size is the keyboard's business from now on, as a signal alone would not tell it.
static void following_read(struct following *f) {
    if (!f->reads)
        return;
    bool typed = f->pty && isatty(STDIN_FILENO);
    if (typed && ev_is_active(&f->signals[FORWARDED - 1])) {
        ev_ref(call_loop(f->call));
        ev_signal_stop(call_loop(f->call), &f->signals[FORWARDED - 1]);
    }
    if (typed && keyboard_begin(&f->keyboard, f->call, f->id, f->attached) == 0)
        keyboard_resize(f->call, f->id);
    else
        feeding_begin(&f->feeding, f->call, f->id);
}

static void following_take(struct following *f, const json_t *answer) {
    json_object_update(f->next, json_object_get(answer, "next"));
    f->over = f->over || json_is_true(json_object_get(answer, "eof"));
    output_take(&f->output, answer);
}

// Its output from where we are.
static void following_by_chunks(struct following *f) {
    f->follow = call_post(f->call, "job.output",
                          json_pack("{s:I,s:O,s:b,s:b}", "id", f->id, "offset", f->next, "follow", 1, "hold",
                                    !f->attached));
    f->over = false;
}

// The stored streams themselves, where they came along.
static void following_open(struct following *f, const json_t *layout) {
    struct ancillary descriptors = call_take(f->call);
    f->output.job = f->id;
    f->relayed = layout && stored_open(&f->output.stored, layout, &descriptors) < 0;
    ancillary_close(&descriptors);
    if (f->relayed)
        following_by_chunks(f);
}

// Once the chunks are on their way, nobody waits any more for what the descriptors would have shown.
static bool following_ignores(struct following *f, const json_t *params) {
    if (!f->relayed || json_integer_value(json_object_get(params, "request")) == f->follow)
        return false;
    json_t *subscription = json_object_get(params, "subscription");
    call_post(f->call, "event.unsubscribe", json_pack("{s:O}", "subscription", subscription));
    return true;
}

// Something between us and supd passes no descriptors on: then stdin, where that is all, is read here and fed.
static bool following_feeds_instead(struct following *f, const struct call_fault *fault) {
    const char *word = json_string_value(json_object_get(f->spec, "stdin"));
    if (fault->code != PROTO_INVALID_PARAMS || !streq(fault->field, "stdin") || !word || !streq(word, "fd"))
        return false;
    json_object_set_new(f->spec, "stdin", json_string("stream"));
    f->reads = true;
    f->request = call_post(f->call, "job.run", json_incref(f->spec));
    return true;
}

// Nothing is nothing to take, but stands behind what others have given: until it is answered the job is only watched.
static void following_probe(struct following *f) {
    f->probe = call_post(f->call, "job.input", json_pack("{s:I,s:s}", "id", f->id, "data", ""));
}

static void following_probed(struct following *f, bool takes) {
    f->probe = 0;
    f->reads = takes;
    if (takes)
        following_read(f);
    else
        print_error("job %lld takes no input", (long long)f->id);
}

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
    struct following *f = data;
    if (feeding_answer(&f->feeding, id, result != NULL) || keyboard_answer(&f->keyboard, id))
        return;
    if (result)
        f->rejoins = 0;
    if (id == f->ending)
        f->ending = 0;
    if (f->probe && id == f->probe)
        following_probed(f, result);
    else if (id == f->follow && result)
        following_take(f, result);
    else if (id == f->follow)
        f->over = true;
    if (id != f->request && (id != f->lease || result))
        return; // of a signal: a job that is over takes none
    if (id == f->request && following_feeds_instead(f, fault))
        return;
    json_t *job = json_object_get(result, "job");
    f->answered = true;
    f->job = json_incref(job ? job : json_array_get(json_object_get(result, "jobs"), 0));
    f->fault = *fault;
}

static void on_notification(const char *method, json_t *params, void *data) {
    struct following *f = data;
    if (streq(method, "job.started")) {
        f->id = json_integer_value(json_object_get(json_object_get(params, "job"), "id"));
        following_open(f, json_object_get(params, "layout"));
        following_read(f);
    } else if (streq(method, "job.output") && !following_ignores(f, params)) {
        following_take(f, params);
    }
}

static void on_lost(void *data) {
    struct following *f = data;
    f->lost = true;
    feeding_rest(&f->feeding); // what is read now could be given to nobody
}

static const struct call_listener following_listener = {on_answer, on_notification, on_lost};

static void following_wait(struct following *f) {
    json_t *params = json_pack("{s:I}", "id", f->id);
    if (f->client->json)
        json_object_set_new(params, "inline_bytes", json_integer(RECORD_INLINE));
    f->request = call_post(f->call, "job.wait", params);
    f->answered = false;
}

static bool following_left(void *data) {
    const struct following *f = data;
    return f->keyboard.detached || f->signal;
}

// The job lives on where the connection alone was lost. Its lease and its output are asked for in one piece, so that the job
// writes nothing in between that nobody holds. Returns false where nobody answers.
static bool following_rejoin(struct following *f) {
    if (f->id == 0 || f->rejoins++ == REJOINS_MAX || client_reconnect(f->client, following_left, f) < 0)
        return false;
    f->lost = false;
    f->ending = 0;
    keyboard_renew(&f->keyboard);
    if (feeding_renew(&f->feeding))
        print_error("%s: job %lld: the connection was lost while input was on its way: the rest of stdin is not given",
                    f->client->command->name, (long long)f->id);
    if (f->probe)
        following_probe(f);
    output_rewind(&f->output, f->next);
    call_gather(f->call);
    f->lease = f->attached ? 0 : call_post(f->call, "job.lease", json_pack("{s:I}", "id", f->id));
    following_by_chunks(f);
    call_together(f->call);
    following_wait(f);
    return true;
}

static int following_end(struct following *f, json_t **ret_job) {
    const char *name = f->client->command->name;
    if (f->output.last_error) {
        print_error("%s: writing the output: %s", name, strerror(f->output.last_error));
        return -1;
    }
    if (f->job) {
        *ret_job = TAKE_PTR(f->job);
        return 0;
    }
    if (f->answered && f->lease)
        print_error("%s: job %lld: the connection was lost, and now: %s", name, (long long)f->id, f->fault.text);
    else if (f->answered)
        print_error("%s: %s", name, f->fault.text);
    else if (f->id > 0)
        print_error("%s: supd closed the connection while job %lld ran: what became of it is not known", name,
                    (long long)f->id);
    else
        print_error("%s: supd closed the connection", name);
    return -1;
}

static void following_filter(struct output *output, int stream, double at, const char *bytes, size_t size) {
    struct following *f = output->data;
    screen_saw(&f->screen, bytes, size);
    if (!f->client->json) // it is shown in the record instead
        output_write(output, stream, bytes, size);
}

static void following_begin(struct following *f) {
    f->call = f->client->call;
    f->next = json_pack("{s:i,s:i}", "stdout", 0, "stderr", 0);
    output_init(&f->output, f->call, f);
    if (f->attached || f->client->json)
        f->output.filter = following_filter;
    call_listen(f->call, &following_listener, f);
    following_watch(f);
}

static void following_loop(struct following *f) {
    struct ev_loop *loop = call_loop(f->call);
    while (!(f->answered && (f->over || !f->follow)) && !f->output.last_error && !following_left(f)) {
        if (!f->lost)
            ev_run(loop, EVRUN_ONCE);
        else if (!following_rejoin(f)) // which may lose the next one again at once
            break;
        if (f->keyboard.gone && !f->attached) // as a program at a terminal that has hung up
            f->signal = SIGHUP;
    }
    while (!output_is_empty(&f->output) && !f->output.last_error && !following_left(f))
        ev_run(loop, EVRUN_ONCE);
    following_unwatch(f);
    feeding_end(&f->feeding);
    keyboard_end(&f->keyboard);
    call_listen(f->call, NULL, NULL);
}

static void following_done(struct following *f) {
    output_done(&f->output);
    json_decref(f->next);
    json_decref(f->job);
    json_decref(f->spec);
}

int following_run(struct client *client, json_t *spec, bool reads, json_t **ret_job) {
    const char *stdin_word = json_string_value(json_object_get(spec, "stdin"));
    struct following f = {.client = client, .pty = json_object_get(spec, "pty")};
    f.reads = reads && (f.pty || (stdin_word && streq(stdin_word, "stream")));
    following_begin(&f);
    json_object_set_new(spec, "follow", json_true());
    json_object_set_new(spec, "fd", json_true());
    f.spec = spec;
    f.request = call_post(f.call, "job.run", json_incref(spec));
    following_loop(&f);
    if (f.signal)
        die_of(f.signal);
    int r = following_end(&f, ret_job);
    following_done(&f);
    return r;
}

// Whether the job has a terminal, as we have: by a size that is not yet ours. When ours follows, what runs there draws itself
// anew even if it had that before.
static bool following_has_pty(struct following *f) {
    unsigned rows, cols;
    struct call_fault fault;
    json_t *answer = NULL;
    if (!isatty(STDIN_FILENO) || !terminal_size(&rows, &cols))
        return false;
    json_t *size = json_pack("{s:I,s:i,s:i}", "id", f->id, "rows", rows, "cols", MAX(cols - 1, 1u));
    int r = call_sync(f->call, "job.resize", size, &answer, &fault);
    json_decref(answer);
    return r == 0;
}

static int following_leave(struct following *f) {
    const char *undo = f->pty && isatty(STDOUT_FILENO) ? screen_leave(&f->screen) : "";
    if (!f->client->json)
        printf("%s%s", undo, f->pty ? "\n" : "");
    if (f->lost)
        print_error("detached from job %lld: no supd answers", (long long)f->id);
    else
        print_error("detached from job %lld, which runs on: supctl attach %lld comes back", (long long)f->id,
                    (long long)f->id);
    if (f->signal && !(f->signal == SIGINT && !f->pty))
        die_of(f->signal);
    return FOLLOWING_DETACHED;
}

int following_attach(struct client *client, const json_t *record, json_t **ret_job) {
    struct following f = {.client = client, .attached = true, .call = client->call};
    f.id = json_integer_value(json_object_get(record, "id"));
    f.reads = f.pty = following_has_pty(&f);
    print_error("attached to job %lld: %s detaches", (long long)f.id, f.pty ? KEYBOARD_DETACH : "Ctrl-C");
    following_begin(&f);
    json_object_set_new(f.next, "stdout", json_integer(-ATTACH_TAIL));
    json_object_set_new(f.next, "stderr", json_integer(-ATTACH_TAIL));
    if (!f.reads)
        following_probe(&f);
    following_by_chunks(&f);
    following_wait(&f);
    following_read(&f);
    following_loop(&f);
    int r = following_left(&f) && !f.job ? following_leave(&f) : following_end(&f, ret_job);
    following_done(&f);
    return r;
}
