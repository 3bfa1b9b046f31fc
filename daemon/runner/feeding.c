// feeding: bytes of clients on their way to a job's stdin, in the order given, as the pipe takes them.
#include <fcntl.h>
#include <utlist.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/pty.h"
#include "daemon/runner/keeping.h"

enum {
    FEED_TURN = 256 * 1024, // at most written to one job in one turn of the loop
};

struct input {
    struct run *run;
    char *bytes; // owned
    size_t size, taken;
    size_t given; // of them the client's: the rest tells a terminal of the end
    bool eof;     // close stdin after it
    input_over over;
    void *data;
    struct input *prev, *next;
};

static void input_end(struct input *input, int error) {
    struct run *run = input->run;
    DL_DELETE(run->inputs, input);
    run->input_bytes -= input->size;
    run->job->account->queued_bytes -= (int64_t)input->size;
    if (input->over)
        input->over(input, error, MIN(input->taken, input->given), input->data);
    explicit_bzero(input->bytes, input->size);
    free(input->bytes);
    free(input);
}

void run_input_close(struct run *run) {
    if (run->in_fd >= 0)
        ev_io_stop(run->runner->parts.loop, &run->in_io);
    if (run->kept)
        run->kept->in_fd = 0; // first: the number may be another's at once
    run->in_fd = fd_close(run->in_fd);
    run->read_master = fd_close(run->read_master);
    run->in_over = true;
    while (run->inputs)
        input_end(run->inputs, -EPIPE);
}

// Writes what the pipe takes of the first one. Returns 0 when it has gone, or -EAGAIN.
static int input_write(struct run *run, struct input *input) {
    for (size_t turn = 0; input->taken < input->size;) {
        if (turn >= FEED_TURN)
            return -EAGAIN;
        ssize_t n = write(run->in_fd, input->bytes + input->taken, MIN(input->size - input->taken, FEED_TURN - turn));
        if (n < 0)
            return errno == EINTR ? -EAGAIN : -errno;
        input->taken += (size_t)n;
        turn += (size_t)n;
    }
    return 0;
}

static void run_feed(struct run *run) {
    while (run->inputs && run->in_fd >= 0) {
        struct input *input = run->inputs;
        int r = input_write(run, input);
        if (r == -EAGAIN) {
            ev_io_start(run->runner->parts.loop, &run->in_io);
            return;
        }
        bool close_it = r < 0 || input->eof;
        input_end(input, r);
        if (close_it)
            run_input_close(run); // what was given after the end, or to nobody, is refused
    }
    ev_io_stop(run->runner->parts.loop, &run->in_io);
}

static void on_writable(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    run_feed(io->data);
}

static void run_input_watch(struct run *run, int fd) {
    run->in_fd = run->kept->in_fd = fd;
    ev_io_init(&run->in_io, on_writable, fd, EV_WRITE);
    run->in_io.data = run;
}

int run_input_open(struct run *run, int *ret_reader) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
        int r = -errno;
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    run_input_watch(run, ends[1]);
    *ret_reader = ends[0];
    return 0;
}

void run_input_resume(struct run *run, int fd) {
    run_input_watch(run, fd);
}

// A terminal's master is read and written; each side has a descriptor of its own, to be closed when it likes.
void run_input_join(struct run *run, const struct launch *launch) {
    const struct spec *spec = &run->job->spec;
    if (!spec->pty)
        return;
    if (spec->rows != launch->plan.rows || spec->cols != launch->plan.cols)
        pty_resize(launch->out_fd, spec->rows, spec->cols);
    int fd = fcntl(launch->out_fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        run_input_watch(run, fd);
    else
        run_input_close(run);
}

int runner_resize(struct job *job, unsigned rows, unsigned cols) {
    struct run *run = run_of(job);
    if (!job->spec.pty)
        return -ENOTTY;
    if (job_is_final(job))
        return -ESRCH;
    job->spec.rows = rows;
    job->spec.cols = cols;
    return run->in_fd < 0 ? 0 : pty_resize(run->in_fd, rows, cols);
}

void run_input_begin(struct run *run) {
    if (run->inputs)
        run_feed(run);
}

// A terminal stays open at the end of its input: whoever reads is told as by somebody who types.
static int input_type_eof(const struct run *run, char **bytes, size_t size, bool line_begun) {
    char character;
    int count = pty_eof(run->in_fd, line_begun, &character);
    char *more = realloc(*bytes, size + (size_t)count);
    if (!more)
        return -ENOMEM;
    memset(more + size, character, (size_t)count);
    *bytes = more;
    return count;
}

int runner_input(struct job *job, char **bytes, size_t size, bool eof, input_over over, void *data,
                 struct input **ret_input) {
    struct run *run = run_of(job);
    if (run->in_over)
        return -EPIPE;
    if (run->input_bytes + size > RUNNER_INPUT_MAX)
        return -EDQUOT;
    const struct owner *owner = job->account;
    if (!owner_may(owner, owner->queued_bytes, (int64_t)size, owners_limits(run->runner->parts.owners)->queued_bytes))
        return -EUSERS;
    bool line_begun = size > 0 ? (*bytes)[size - 1] != '\n' : run->in_line;
    int more = job->spec.pty && eof ? input_type_eof(run, bytes, size, line_begun) : 0;
    struct input *input = more >= 0 ? calloc(1, sizeof(*input)) : NULL;
    if (!input)
        return -ENOMEM;
    *input = (struct input){.run = run, .size = size + (size_t)more, .given = size, .over = over, .data = data};
    input->bytes = TAKE_PTR(*bytes);
    input->eof = eof && !job->spec.pty;
    run->input_bytes += input->size;
    run->job->account->queued_bytes += (int64_t)input->size;
    run->in_line = line_begun && more == 0;
    run->in_over = input->eof;
    DL_APPEND(run->inputs, input);
    *ret_input = input;
    // Until the leader runs the pipe's end may still be a launcher's: then nobody's absence means anything. Nor is there an end
    // here yet where the launch is one of the worker before us.
    if (run->in_fd >= 0 && !run->launch && !input->prev->next)
        ev_io_start(run->runner->parts.loop, &run->in_io);
    return 0;
}

void input_forget(struct input *input) {
    input->over = NULL;
}
