// rig: a loop, a launcher and a host of trees, and jobs run by them: what happens to a job is noted in it.
#pragma once

#include "daemon/os/descriptors.h"
#include "daemon/os/launcher.h"
#include "daemon/os/tree.h"

struct rig {
    struct ev_loop *loop;
    struct launcher *launcher;
    struct tree_host *host;
    struct descriptors descriptors;
    int reaper_fd;
};

struct rig_job {
    struct rig *rig;
    struct launch launch;
    struct tree *tree;
    struct leader_exit end;
    bool over;                     // the launch
    int exits, empties, unprovens; // how often each was told
    int answers;
    double used;                     // what the last one told
    bool in_loop, in_order, settled; // told on the loop's thread; the end before the rest; empty or unproven was told
};

// Opens all; a way that does not work here fails the test.
void rig_open(struct rig *rig, enum spawn_way spawn, enum tree_way tree);
void rig_close(struct rig *rig);
// Whether trees can be held by cgroups here; says on stdout why not.
bool rig_has_cgroups(void);
// Ends what tests that failed have left in cgroups. For the end of a program.
void rig_clean(void);

// A job that is not submitted: tests/child with up to two arguments (or NULL), both streams captured, in /.
void rig_prepare(struct rig *rig, struct rig_job *job, enum tree_rest rest, const char *first, const char *second);
void rig_start(struct rig *rig, struct rig_job *job, enum tree_rest rest, const char *first, const char *second);
// Runs the loop until *flag.
void rig_until(struct rig *rig, const bool *flag);
void rig_until_count(struct rig *rig, const int *count); // until it is not 0
void rig_expect_running(struct rig_job *job);            // waits for the launch
void rig_done(struct rig_job *job);                      // frees the launch and, unless it is NULL, the tree
