// cgroup_control: what a cgroup holds a job to, and what it counts of it.
//
// Facts (cgroup v2, Linux Documentation/admin-guide/cgroup-v2.rst): a cgroup has those controllers that its parent hands
// down (cgroup.subtree_control), and a cgroup that hands some down may have no processes of its own, but for the root.
// CPU time is counted without a controller. memory.oom.group kills the whole cgroup; memory.peak is there from 5.19 on.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/spec.h"

enum {
    CGROUP_MEMORY = 1 << LIMIT_MEMORY,
    CGROUP_PIDS = 1 << LIMIT_PROCESSES,
    CGROUP_CPU = 1 << LIMIT_CPU_WEIGHT,
    CGROUP_IO = 1 << LIMIT_TREE
};

// Under this name the daemon itself has a cgroup, beside that of its jobs: made by a service manager, or here.
#define CGROUP_MAIN "supd-main"

// Hands down to the cgroups below `dir` what there is, at `path`. In the way may be processes of the cgroup above: this
// one and its keeper (0: none) go into a cgroup of their own then; anybody else's stay, and so do those of a service
// manager's cgroup, into which it could start none any more. Returns the controllers that jobs have, and `why` not all.
unsigned cgroup_control_begin(int dir, const char *path, pid_t keeper, char why[160]);

// Sets limits (-1: none) of the cgroup `dir`. Returns 0 or a negative errno.
int cgroup_control_limit(int dir, const int64_t limits[LIMIT_TREE]);

// Since the cgroup was made. Seconds and bytes; -1 where nothing counts them.
struct cgroup_usage {
    double user, system;
    int64_t read_bytes, written_bytes, peak_bytes, oom_kills;
};
#define CGROUP_UNUSED ((struct cgroup_usage){0})
// Of the cgroup `name` below `dir`. `cpu`: its cpu.stat where that is open, or -1. `all`: more than the CPU time. Returns 0
// or a negative errno.
int cgroup_usage_read(int dir, const char *name, int cpu, unsigned controllers, bool all,
                      struct cgroup_usage *ret_usage);
