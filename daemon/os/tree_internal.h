// tree_internal: what the launcher needs of a tree, and what the ways of holding one give to tree.c.
#pragma once

#include <sched.h>
#include <uthash.h>

#include "daemon/os/cgroup_files.h"
#include "daemon/os/leader.h"
#include "daemon/os/tree.h"

// What one launch needs to be held by its tree. Filled on the launcher's thread, owned by it.
struct tree_launch {
    int cgroup;         // directory to be born into, or -1 (borrowed)
    int own_cgroup;     // the same where nobody else holds it, or -1
    int join;           // its cgroup.procs, where the child joins by itself, or -1
    int control;        // the reaper's end of its control socket, or -1
    int program;        // the reaper's program (borrowed), or -1
    int pidfd;          // of the leader, from the spawn, or -1
    const char *policy; // the reaper's
};
#define TREE_LAUNCH_INIT \
    ((struct tree_launch){.cgroup = -1, .own_cgroup = -1, .join = -1, .control = -1, .program = -1, .pidfd = -1})

int tree_prepare(struct tree *tree, struct tree_launch *ret_launch);
int tree_launch_join(const struct tree_launch *launch);
// The launch has succeeded: the tree takes the pidfd.
void tree_launched(struct tree *tree, struct tree_launch *launch, pid_t leader, pid_t holder);
void tree_launch_done(struct tree_launch *launch); // closes what is left
void tree_attach(struct tree *tree);               // on the loop: watching begins

struct tree_ways {
    int (*prepare)(struct tree *tree, struct tree_launch *ret_launch);
    void (*attach)(struct tree *tree);
    int (*signal_leader)(struct tree *tree, int sig);
    int (*signal)(struct tree *tree, int sig);
    void (*kill)(struct tree *tree);
    int (*pids)(struct tree *tree, pid_t *pids, size_t max);
    int (*cpu)(struct tree *tree, double *ret_seconds);
    int (*usage)(struct tree *tree, struct usage *usage, bool *ret_oom); // NULL: nothing counts
    // In place of attach, for an adopted one: from when on nothing is missed; then, from the loop, what is known is told.
    void (*adopt)(struct tree *tree);
    void (*resume)(struct tree *tree);
    // The owner lets go. Returns whether the tree can be freed now; else the way frees it when it is empty.
    bool (*release)(struct tree *tree);
};

struct tree_host {
    struct ev_loop *loop;
    enum tree_way way;
    const struct tree_ways *ways;
    char why[200];
    struct cgroup_host *cgroups; // owned, the cgroup way's
    struct leavers *leavers;     // owned; NULL: only root could leave them
    struct tree *live;           // hash by number of their cgroups, where there are leavers
    int open_descriptors;        // theirs, for good
    struct tree *watched;        // hash by inotify watch: between a leader's end and its tree's
    struct tree *doomed;         // list: their leaders are killed, the rest is to be at the bottom of a turn
    struct ev_prepare bottom;    // active while there are such, as is `again`, which keeps the loop awake
    struct ev_idle again;
    bool is_urgent, no_urgency; // this process goes before others; may not
    int policy;                 // and how it is scheduled otherwise
    struct sched_param priority;
    struct tree *adopted_trees; // list: to be resumed in the next turn
    struct ev_timer resume;
    int reaper_fd;                   // borrowed, the reaper way's
    struct strays *strays;           // owned, the reaper way's
    struct descriptors *descriptors; // borrowed
    struct adopted *adopted;         // borrowed, or NULL
    pid_t parent;                    // whose children orphans become: the keeper, or this process
};

struct tree {
    struct tree_host *host;
    enum tree_rest rest;
    const struct tree_listener *listener; // NULL: the owner has let go
    void *data;
    struct leader leader;
    bool launched, killing, told_exit, told_empty, is_adopted;
    bool is_new; // adopted, and not resumed yet
    struct tree *new_prev, *new_next;
    // cgroup
    bool spoiled; // it may have been killed, or left frozen: not to be reused
    bool is_empty;
    struct cgroup cgroup;
    int watch;             // inotify's, -1: none
    const int64_t *limits; // of it as a whole; borrowed until it is launched; NULL: none
    // reaper
    bool leader_told;
    pid_t holder;
    int control; // the daemon's end, -1
    int spent;   // owned, 0: none: the same once it is over, while a record may still name it
    union {      // a host has one way: there are many trees
        struct { // cgroup
            struct cgroup_usage before, used; // of its cgroup: when the tree began, and when it was read last
            bool used_all;                    // that was after its end
            bool is_doomed;
            struct tree *doomed_prev, *doomed_next;
            unsigned leavers; // looks that had found some before it began
            UT_hash_handle by_watch, by_number;
        };
        struct {                           // reaper
            struct leader_exit orphan_end; // of a leader that came to the keeper, once known
            struct ev_io control_io;
            struct ev_timer look; // at its reaper, while that is overdue or its end is awaited
            bool is_known;        // to the strays
            bool is_lost;         // its reaper ends, or has ended, without a last word
            bool is_asked;        // what all have used, and has not answered yet
            int frozen;           // looks in a row that found it stopped
            UT_hash_handle by_holder;
        };
    };
};

extern const struct tree_ways tree_ways_cgroup, tree_ways_reaper, tree_ways_none;
void tree_cgroup_live(struct tree *tree);  // its cgroup is its own from now on
void tree_holder_ended(struct tree *tree); // its reaper has, and may have said so or not
void tree_drop(struct tree *tree);         // frees it, once its way is done with it
void tree_tell_exit(struct tree *tree, const struct leader_exit *end);
void tree_tell_empty(struct tree *tree);
void tree_tell_unproven(struct tree *tree);
