// keeping: what of a job outlives the worker, in a record of daemon/os/kept. The next worker makes the job from it.
#pragma once

#include "daemon/os/kept.h"
#include "daemon/os/launcher.h"
#include "daemon/os/tree.h"
#include "daemon/runner/run.h"

// How far the job is, as of the last thing that happened. Stored as a whole.
struct kept_state {
    uid_t owner;
    pid_t pid;
    int attempt;
    double created_at, started_at, ended_at, started_mono, ended_mono;
    struct lifecycle life;
    enum reason reason; // REASON_NONE until the result is made
    enum launch_stage stage;
    int error;
    bool survivors_unknown, incomplete;
    bool stopping_told, in_over, in_line;
    unsigned rows, cols;
    struct tree_kept tree;
    struct cause cause;
};

// Descriptors: 0 is none.
struct kept_job {
    int64_t id;
    struct kept_blob spec;      // as JSON, without what must not linger
    struct kept_blob secrets;   // until it is launched: environment and stdin, likewise
    struct kept_blob survivors; // of a final one: pids
    struct kept_blob order;     // runs of the reading order, with room for more
    uint32_t order_count;       // of them
    bool order_full;
    struct kept_state state;
    int pipes[STREAM_COUNT], in_fd;
    int fds[3];    // that came along, until it is launched
    int tries;     // to make the job from this record that have not come back
    bool is_told;  // that it is final
    int64_t lease; // the session whose end kills it, by its serial; 0: none
    struct launch_record launch;
    struct spool spools[STREAM_COUNT];
};

// On failure the job can't be taken: -EUSERS, as all records, or all blocks for what has no fixed size, are in use.
int run_keep_begin(struct run *run, const struct start *start);
void run_keep(struct run *run);       // after whatever happened to it
void run_keep_order(struct run *run); // after something was read
// How many runs its order may have room for: its owner's have so many bytes.
size_t run_order_most(const struct run *run);
void run_order_account(struct run *run); // after it has another size
void run_keep_end(struct run *run);      // the job needs nobody to remember it any more
// Where there is no history, the last final jobs have their records for as long as they are among those, and known.
void run_remember(struct run *run);
void run_remember_end(struct run *run);
// The launch is over: what it needed goes.
void run_keep_launched(struct run *run);

// A read from a pipe, to be found out about by the next worker: before it, and once its bytes are counted; or it took
// none, and its place is as it was.
void run_read_begin(struct run_pipe *pipe, char *to, size_t size);
void run_read_end(struct run_pipe *pipe);
void run_read_undo(struct run_pipe *pipe, char *to);
