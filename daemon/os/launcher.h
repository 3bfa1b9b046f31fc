// launcher: threads that turn plans into running leaders, so that no launch can ever block the loop.
//
// All functions run on the loop's thread. A launch is submitted, waits for an idle launcher, runs, and
// comes back through `done` on the loop. Launches of one claimant start in the order submitted. When every launcher is
// stuck in a launch (a frozen child, an exec that hangs) another thread is started, up to the cap.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/os/child.h"
#include "daemon/os/plan.h"
#include "daemon/os/tree.h"

enum spawn_way { SPAWN_FAST, SPAWN_PLAIN };

struct launcher;

// Whoever asks for launches: see launch_queue. References are counted, on the loop's thread.
struct claimant;
struct claimant *
claimant_new(struct claimant *parent); // with one reference, and one to the parent; NULL when memory is out
void claimant_hold(struct claimant *claimant);
void claimant_release(struct claimant *claimant); // NULL is allowed

// How far a launch has come, in memory that outlives the worker. Descriptors: 0 is none.
struct launch_record {
    struct child_report report;
    int pidfd, control; // of the leader; the daemon's end of its reaper's socket
    int out_fd, err_fd;
    double started_mono, started_wall;
    pid_t keeper;           // in whose time it began
    uint64_t since;         // what stands in the keeper's journal before is of others
    struct leader_exit end; // once known: of the leader, written before it is reaped
};

struct launch {
    struct plan plan;          // owned by the launch
    struct tree *tree;         // borrowed; outlives the launch. Watched (tree callbacks) from `done` on
    struct claimant *claimant; // for whom, or NULL. Borrowed until it is submitted

    struct launch_record *record; // borrowed, blank; or NULL

    // Called once on the loop. On success plan.stage is STAGE_NONE and the fields below are set; on
    // failure nothing of the child is left, pid is 0 and descriptors are -1.
    void (*done)(struct launch *launch, void *data);
    void *data;

    pid_t pid;
    double started_mono, started_wall; // when the clone was made
    int out_fd, err_fd;                // reading ends where captured (non-blocking, CLOEXEC), else -1. The taker's

    // The launcher's own.
    struct launch *next;
    int state;
    int launcher_index;
};

// Reserves descriptors 0 to 2 and the launchers' slots: call before anything else opens descriptors. `kept`: where the
// slots are noted, and found by the next worker; or NULL.
// `threads`: how many launchers in normal times (2 to 8). Returns 0 or a negative errno.
struct kept_head;
// `shared`: leaders are of other users too, and have the limits of the machine's services instead of this process's.
int launcher_new(struct ev_loop *loop, enum spawn_way way, int threads, bool shared, struct kept_head *kept,
                 struct launcher **ret_launcher);
// Waits for launches under way (they are killed first). Queued ones are dropped without `done`.
void launcher_free(struct launcher *launcher);
// Those launchers leave that came while others were stuck.
void launcher_rest(struct launcher *launcher);
// Begins no more launches, and waits for those under way, but not for ones that are stuck.
void launcher_pause(struct launcher *launcher);

void launch_init(struct launch *launch);
void launch_done(struct launch *launch); // frees what it owns; not while submitted

void launcher_submit(struct launcher *launcher, struct launch *launch);
// Takes back a launch that has not started: true, and `done` will not come. False: it is under way or over.
bool launcher_cancel(struct launcher *launcher, struct launch *launch);
// SIGKILLs the child of a launch that is under way and stuck before its exec. `done` still comes.
void launcher_kill(struct launcher *launcher, struct launch *launch);

enum spawn_way launcher_way(const struct launcher *launcher);
size_t launcher_queued(const struct launcher *launcher);
// Of them, those for the claimant. NULL: 0.
size_t launcher_queued_for(const struct launcher *launcher, const struct claimant *claimant);
// How many descriptors all launches together may have open at once that are theirs only until they are done.
int64_t launcher_descriptors(const struct launcher *launcher);
