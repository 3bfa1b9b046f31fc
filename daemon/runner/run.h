// run: one job's processes and pipes while it lives, and its output for as long as the job is known.
// For the files of this folder: launching, watching, ending.
#pragma once

#include "daemon/runner/runner.h"

struct runner {
    struct runner_parts parts;
    const struct runner_listener *listener;
    void *data;
    struct ev_prepare bottom; // of a turn of the loop: results are made here, after all exits were collected
    struct ev_idle again;     // keeps the loop awake for what finishes at the bottom itself
    struct run *finishing;    // list
    struct runner_stats stats;
    int64_t history_bytes;  // of final jobs: their output, and what their clients gave
    struct run *unarchived; // list: live, and to be put into the history in a while, unless they end before
    struct ev_timer archive;
    struct run *remembered; // list, without a history: final, and to outlive the worker; the oldest first
    int remembered_count;
    int cpus;
};

struct run_pipe {
    struct run *run;
    int stream;
    int fd; // -1: closed or not captured
    struct ev_io io;
    bool paused; // a follower holds it back
    bool grown;  // the pipe's buffer was to be made larger,
    bool large;  // and it is: one of its owner's large pipes
    int64_t hold;
    struct spool *spool; // owned, or in the job's record
};

struct kept_job;

struct run {
    struct runner *runner;
    struct job *job;
    struct launch *launch;   // owned, while it is under way
    struct awaited *awaited; // owned: instead of it, a launch of the worker before us
    struct tree *tree;       // owned, from before the launch until the end
    struct kept_job *kept;   // what the next worker would know of it, or NULL
    struct run_pipe pipes[STREAM_COUNT];
    int in_fd; // writing end of a stdin that is a stream, or of a terminal; -1: none, or closed
    // Of a terminal whose output has ended, until in_fd is closed: a descriptor that is closed while the file is open elsewhere
    // still has events (epoll(7)), and libev would begin anew with all that it watches. -1: none.
    int read_master;
    bool in_over; // nothing more is taken: its end was given, or it is closed
    bool in_line; // a line is begun: the last byte given is no newline
    struct ev_io in_io;
    struct input *inputs;                       // list: what waits to be written
    size_t input_bytes;                         // of them
    int64_t descriptors;                        // taken for it and not yet given back, without the tree's
    int64_t account_bytes, account_descriptors; // what its owner has for it
    struct order order;
    int64_t order_bytes;   // of it, on its owner's account
    int64_t spec_bytes;    // of a final one: what its client gave takes in memory
    int64_t final_bytes;   // what it counts with, as a final one in memory
    bool is_counted;       // as one
    struct ev_timer timer; // the next deadline; of a final job: when it is forgotten
    struct run *next_finishing;
    bool is_finishing, stopping_told;
    struct run *unarchived_prev, *unarchived_next;
    bool is_unarchived;
    struct run *remembered_prev, *remembered_next;
    bool is_remembered;
    bool is_put;                  // the history was told of it
    bool is_durable, is_archived; // something of it is in the history; all of it is
    char *archived_spec;          // owned: as runner_kept_spec, once archived
};

static inline struct run *run_of(const struct job *job) {
    return job->run;
}

// Carries out what the lifecycle said, and sets the timer anew.
void run_act(struct run *run, unsigned actions);

struct run *run_new(struct runner *runner, struct job *job); // NULL when memory is out

enum tree_rest tree_rest_of(const struct spec *spec);
int64_t run_descriptors(const struct spec *spec); // that a run of it needs

void run_awaited_kill(struct run *run);
void run_awaited_over(
    struct run *run); // adopting: the launch that is awaited, if one is, has come to its exec or its end

// launching
// On failure of a step the launch has failed, in the lifecycle's terms. Returns 0 or -ENOMEM.
int run_launch(struct run *run, struct start *start);

// watching
void run_watch(struct run *run, int out_fd, int err_fd);
void run_pipe_read(struct run_pipe *pipe);  // all that is there now, within a bound
void run_pipe_close(struct run_pipe *pipe); // tells eof
void run_pipe_seal(struct run_pipe *pipe);  // of a final job
void run_streams_settle(struct run *run);   // tells the lifecycle once all are closed
extern const struct tree_listener run_tree_listener;

// feeding
int run_input_open(struct run *run, int *ret_reader);              // a pipe for stdin; the reading end is the caller's
void run_input_join(struct run *run, const struct launch *launch); // the leader runs: its terminal takes input
void run_input_begin(struct run *run);                             // the same for what waits already
void run_input_resume(struct run *run, int fd);                    // of the worker before us
void run_input_close(struct run *run);                             // what still waits is refused

// What a live job takes of its owner's share.
void run_account(struct run *run, int64_t bytes, int64_t descriptors);
void run_account_end(struct run *run);

// ending
void run_final_count(struct run *run); // after a final one takes more or less of memory, or has left it
void run_finish_later(struct run *run);
void run_finish_again(struct run *run); // its result is made; the worker before us died over it
void run_finish_all(struct runner *runner);
// The oldest of whoever has most make room: for the history, or for good.
void run_history_trim(struct runner *runner);
void run_free(struct run *run);
