// watching: a live job's pipes, its tree and its deadlines.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/runner/keeping.h"

enum {
    PIPE_TURN = 512 * 1024,  // at most read of one pipe in one turn of the loop,
    PIPE_LOOKED = 16 * 1024, // or so much where many look for a text in it
    PIPE_FULL = 64 * 1024,   // what a pipe holds at first (pipe(7)); one that was full is made larger,
    PIPE_LARGE = 1024 * 1024 // up to what every user may have (/proc/sys/fs/pipe-max-size)
};

// What every user may have of large pipes in all (pipe-user-pages-soft) does not bind root: here each owner has as much.
static void run_pipe_grow(struct run_pipe *pipe) {
    struct owner *owner = pipe->run->job->account;
    pipe->grown = true;
    if (owner->large_pipes >= OWNER_LARGE_PIPES)
        return; // it costs speed only, as a refusal does
    pipe->large = fcntl(pipe->fd, F_SETPIPE_SZ, PIPE_LARGE) > PIPE_FULL;
    owner->large_pipes += pipe->large;
}

static void run_pipe_grown_end(struct run_pipe *pipe) {
    pipe->run->job->account->large_pipes -= pipe->large;
    pipe->large = false;
}

static void run_pipe_hold(struct run_pipe *pipe, bool held) {
    struct run *run = pipe->run;
    pipe->paused = held;
    bool any = run->pipes[STREAM_OUT].paused || run->pipes[STREAM_ERR].paused;
    lifecycle_hold(&run->job->life, now_mono(), any);
    if (held)
        ev_io_stop(run->runner->parts.loop, &pipe->io);
    else if (pipe->fd >= 0)
        ev_io_start(run->runner->parts.loop, &pipe->io);
}

static void run_pipe_took(struct run_pipe *pipe, const char *bytes, size_t size) {
    struct run *run = pipe->run;
    struct job *job = run->job;
    int64_t offset = pipe->spool->total;
    spool_commit(pipe->spool, size);
    run_read_end(pipe);
    order_add(&run->order, pipe->stream, offset, ev_now(run->runner->parts.loop), run_order_most(run));
    run_keep_order(run);
    lifecycle_output(&job->life, now_mono());
    run->runner->listener->output(job, pipe->stream, offset, bytes, size, run->runner->data);
    if (job->spec.kill_on_limit && job->spec.limit_bytes >= 0 && pipe->spool->total > job->spec.limit_bytes &&
        job->life.cause.reason == REASON_NONE)
        runner_stop(run->runner, job, (struct cause){REASON_OUTPUT_LIMIT, KILLER_NONE, -1}, -1, -1);
}

void run_pipe_close(struct run_pipe *pipe) {
    if (pipe->fd < 0)
        return;
    ev_io_stop(pipe->run->runner->parts.loop, &pipe->io);
    if (pipe->run->kept)
        pipe->run->kept->pipes[pipe->stream] = 0; // first: the number may be another's at once
    run_pipe_grown_end(pipe);
    if (pipe->run->in_fd >= 0 && pipe->run->job->spec.pty)
        pipe->run->read_master = TAKE_FD(pipe->fd);
    pipe->fd = fd_close(pipe->fd);
    if (pipe->paused)
        run_pipe_hold(pipe, false);
    pipe->run->runner->listener->eof(pipe->run->job, pipe->stream, pipe->run->runner->data);
}

void run_streams_settle(struct run *run) {
    bool open = run->pipes[STREAM_OUT].fd >= 0 || run->pipes[STREAM_ERR].fd >= 0;
    if (!open && !run->job->life.streams_over)
        run_act(run, lifecycle_streams_over(&run->job->life, now_mono()));
}

// Reads no more than there is for sure: a whole number of bytes comes, or none. One where none is known: the end, too, is
// told by a read alone.
static ssize_t run_pipe_take(struct run_pipe *pipe, char *to, size_t room) {
    int there = 0;
    if (ioctl(pipe->fd, FIONREAD, &there) < 0 || there <= 0)
        there = 1;
    size_t size = MIN(room, (size_t)there);
    run_read_begin(pipe, to, size);
    ssize_t n = read(pipe->fd, to, size);
    if (n <= 0) {
        int saved = errno;
        run_read_undo(pipe, to);
        errno = saved;
    }
    return n;
}

// Whoever looks for a text is done with what is read before anybody else's turn comes.
static size_t pipe_turn(const struct run_pipe *pipe) {
    return MAX(PIPE_TURN / (size_t)(1 + pipe->run->job->account->until_waits), (size_t)PIPE_LOOKED);
}

void run_pipe_read(struct run_pipe *pipe) {
    const size_t most = pipe_turn(pipe);
    for (size_t turn = 0; turn < most && pipe->fd >= 0;) {
        size_t room;
        char *to = spool_room(pipe->spool, most - turn, pipe->hold, &room);
        if (room == 0) {
            run_pipe_hold(pipe, true);
            return;
        }
        ssize_t n = run_pipe_take(pipe, to, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            run_pipe_close(pipe);
            return;
        }
        run_pipe_took(pipe, to, (size_t)n);
        turn += (size_t)n;
        if ((size_t)n >= PIPE_FULL && !pipe->grown)
            run_pipe_grow(pipe);
        if (n > 1 && (size_t)n < room)
            return;
    }
}

static void on_pipe(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct run_pipe *pipe = io->data;
    struct run_pipe *other = &pipe->run->pipes[!pipe->stream];
    // Of what has come in one turn libev tells the last first: what was printed before is read before.
    if (other->fd >= 0 && ev_clear_pending(loop, &other->io))
        run_pipe_read(other);
    run_pipe_read(pipe);
    run_streams_settle(pipe->run);
}

static void run_pipe_watch(struct run_pipe *pipe, int fd) {
    pipe->fd = fd;
    if (fd < 0)
        return;
    pipe->run->kept->pipes[pipe->stream] = fd;
    // The worker before us may have made it larger.
    pipe->grown = pipe->large = fcntl(fd, F_GETPIPE_SZ) > PIPE_FULL;
    pipe->run->job->account->large_pipes += pipe->large;
    // A pipe's end comes as EPOLLHUP, which libev takes for both: of one that it watches for reading alone it would tell the
    // kernel once more what it wants. A pipe's reading end is never writable.
    ev_io_init(&pipe->io, on_pipe, fd, pipe->run->job->spec.pty ? EV_READ : EV_READ | EV_WRITE);
    pipe->io.data = pipe;
    ev_set_priority(&pipe->io, 1); // before the exit that came with it, which would take both in one order
    ev_io_start(pipe->run->runner->parts.loop, &pipe->io);
}

void run_watch(struct run *run, int out_fd, int err_fd) {
    run_pipe_watch(&run->pipes[STREAM_OUT], out_fd);
    run_pipe_watch(&run->pipes[STREAM_ERR], err_fd);
    if (out_fd < 0 && err_fd < 0)
        run->job->life.streams_over = true;
}

// What nobody holds any more is stored for good; in memory once the history has it, or the next worker need not.
void run_pipe_seal(struct run_pipe *pipe) {
    const struct run *run = pipe->run;
    if (pipe->hold != INT64_MAX)
        return;
    spool_seal(pipe->spool);
    if (run->is_archived || !run->kept)
        spool_shrink(pipe->spool);
}

void runner_set_hold(struct runner *runner, struct job *job, int stream, int64_t offset) {
    struct run_pipe *pipe = &run_of(job)->pipes[stream];
    pipe->hold = offset;
    if (job_is_final(job) && offset == INT64_MAX && !job->forgotten) {
        run_pipe_seal(pipe);
        run_final_count(pipe->run);
    }
    if (!pipe->paused)
        return;
    run_pipe_hold(pipe, false);
    // What waits in the pipe of an ended leader is taken at once: its drain counts from here.
    if (job->life.state == LIFE_ENDED)
        run_pipe_read(pipe);
    run_act(pipe->run, 0);
    run_streams_settle(pipe->run);
}

static void on_leader_exit(struct tree *tree, const struct leader_exit *end, void *data) {
    struct run *run = data;
    struct job *job = run->job;
    run_awaited_over(run);
    if (job->life.state == LIFE_FINAL)
        return; // the launch had failed
    job->outcome.end = *end;
    job->ended_mono = now_mono();
    job->ended_at = now_wall();
    for (int s = 0; s < STREAM_COUNT; s++)
        if (!run->pipes[s].paused)
            run_pipe_read(&run->pipes[s]);
    run_act(run, lifecycle_exit(&job->life, job->ended_mono));
    run_streams_settle(run);
}

static void on_tree_empty(struct tree *tree, void *data) {
    struct run *run = data;
    run_act(run, lifecycle_tree_over(&run->job->life, now_mono(), true));
}

static void on_tree_unproven(struct tree *tree, void *data) {
    struct run *run = data;
    run_act(run, lifecycle_tree_over(&run->job->life, now_mono(), false));
}

static void on_tree_used(struct tree *tree, double seconds, double cost, void *data) {
    struct run *run = data;
    run_act(run, lifecycle_cpu(&run->job->life, now_mono(), seconds, cost));
}

const struct tree_listener run_tree_listener = {
    .leader_exit = on_leader_exit, .empty = on_tree_empty, .unproven = on_tree_unproven, .used = on_tree_used};
