// From terminal to terminal.
#include "client/keyboard.h"

#include <signal.h>
#include <stdio.h>

#include "client/terminal.h"
#include "common/bytes.h"
#include "common/util.h"

enum { PREFIX = ']' - '@', DETACH = 'd', KEYBOARD_PIECE = 4096 };

void keyboard_resize(struct call *call, int64_t job) {
    unsigned rows, cols;
    if (terminal_size(&rows, &cols))
        call_post(call, "job.resize", json_pack("{s:I,s:i,s:i}", "id", (json_int_t)job, "rows", rows, "cols", cols));
}

static void keyboard_post(struct keyboard *k, const char *bytes, size_t size) {
    if (size == 0)
        return;
    if (k->waiting_count == KEYBOARD_WAITING) { // as a terminal does whose reader sleeps
        fputs("\a", stderr);
        return;
    }
    json_t *params = json_pack("{s:I}", "id", (json_int_t)k->job);
    bytes_to_json(params, bytes, size, false);
    k->waiting[k->waiting_count++] = call_post(k->call, "job.input", params);
}

// Takes the detach key out: its first half is passed on only when the second does not follow; typed twice, once.
static size_t keyboard_filter(struct keyboard *k, const char *typed, size_t size, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < size && !k->detached; i++) {
        if (!k->prefix && typed[i] == PREFIX) {
            k->prefix = true;
            continue;
        }
        if (k->prefix && typed[i] == DETACH)
            k->detached = true;
        else if (k->prefix && typed[i] != PREFIX)
            out[n++] = PREFIX;
        if (!k->detached)
            out[n++] = typed[i];
        k->prefix = false;
    }
    return n;
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events) {
    struct keyboard *k = io->data;
    char typed[KEYBOARD_PIECE], out[2 * KEYBOARD_PIECE];
    ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        ev_io_stop(loop, io);
        k->gone = true;
        k->detached = k->can_detach;
        return;
    }
    if (k->can_detach)
        keyboard_post(k, out, keyboard_filter(k, typed, (size_t)n, out));
    else
        keyboard_post(k, typed, (size_t)n);
}

static void on_resized(struct ev_loop *loop, struct ev_signal *w, int events) {
    struct keyboard *k = w->data;
    keyboard_resize(k->call, k->job);
}

// Ctrl-Z is the job's; this one was sent to supctl. A terminal is not left raw to the shell.
static void on_stopped(struct ev_loop *loop, struct ev_signal *w, int events) {
    terminal_restore();
    raise(SIGSTOP);
}

static void on_continued(struct ev_loop *loop, struct ev_signal *w, int events) {
    struct keyboard *k = w->data;
    if (!terminal_is_raw())
        terminal_raw();
    keyboard_resize(k->call, k->job);
}

static void keyboard_signal(struct keyboard *k, struct ev_signal *w,
                            void (*act)(struct ev_loop *, struct ev_signal *, int), int number) {
    ev_signal_init(w, act, number);
    w->data = k;
    ev_signal_start(call_loop(k->call), w);
}

int keyboard_begin(struct keyboard *k, struct call *call, int64_t job, bool can_detach) {
    int r = terminal_raw();
    if (r < 0)
        return r;
    *k = (struct keyboard){.call = call, .job = job, .can_detach = can_detach};
    ev_io_init(&k->readable, on_readable, STDIN_FILENO, EV_READ);
    k->readable.data = k;
    ev_io_start(call_loop(call), &k->readable);
    keyboard_signal(k, &k->resized, on_resized, SIGWINCH);
    keyboard_signal(k, &k->stopped, on_stopped, SIGTSTP);
    keyboard_signal(k, &k->continued, on_continued, SIGCONT);
    return 0;
}

bool keyboard_answer(struct keyboard *k, int64_t id) {
    for (size_t i = 0; i < k->waiting_count; i++) {
        if (k->waiting[i] != id)
            continue;
        k->waiting[i] = k->waiting[--k->waiting_count];
        return true;
    }
    return false;
}

void keyboard_renew(struct keyboard *k) {
    k->waiting_count = 0;
}

void keyboard_end(struct keyboard *k) {
    if (!k->call)
        return;
    struct ev_loop *loop = call_loop(k->call);
    ev_io_stop(loop, &k->readable);
    ev_signal_stop(loop, &k->resized);
    ev_signal_stop(loop, &k->stopped);
    ev_signal_stop(loop, &k->continued);
    terminal_restore();
    k->call = NULL;
}
