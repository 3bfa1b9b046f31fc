// Stdin to a job.
#include "client/feeding.h"

#include "common/bytes.h"
#include "common/util.h"

enum { FEEDING_PIECE = 256 * 1024 };

static void feeding_read(struct feeding *f) {
    _cleanup_free_ char *piece = malloc(FEEDING_PIECE);
    ssize_t n = piece ? read(STDIN_FILENO, piece, FEEDING_PIECE) : -1;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    ev_io_stop(call_loop(f->call), &f->readable);
    json_t *params = json_pack("{s:I}", "id", (json_int_t)f->job);
    if (n > 0)
        bytes_to_json(params, piece, (size_t)n, false);
    else
        json_object_set_new(params, "eof", json_true()); // a stdin that can't be read has ended
    f->over = n <= 0;
    f->request = call_post(f->call, "job.input", params);
}

static void on_readable(struct ev_loop *loop, struct ev_io *io, int events) {
    feeding_read(io->data);
}

void feeding_begin(struct feeding *f, struct call *call, int64_t job) {
    *f = (struct feeding){.call = call, .job = job};
    ev_io_init(&f->readable, on_readable, STDIN_FILENO, EV_READ);
    f->readable.data = f;
    ev_io_start(call_loop(call), &f->readable);
}

bool feeding_answer(struct feeding *f, int64_t id, bool accepted) {
    if (f->request == 0 || id != f->request)
        return false;
    f->request = 0;
    if (!accepted && !f->over) {
        f->over = true;
        fd_close(STDIN_FILENO); // whoever writes to it is to learn that nobody reads, as of a plain command
    }
    if (!f->over)
        ev_io_start(call_loop(f->call), &f->readable);
    return true;
}

bool feeding_renew(struct feeding *f) {
    bool was_giving = f->request != 0;
    f->request = 0;
    f->over = f->over || was_giving;
    if (f->call && !f->over)
        ev_io_start(call_loop(f->call), &f->readable);
    return was_giving;
}

void feeding_rest(struct feeding *f) {
    if (f->call)
        ev_io_stop(call_loop(f->call), &f->readable);
}

void feeding_end(struct feeding *f) {
    if (f->call)
        ev_io_stop(call_loop(f->call), &f->readable);
}
