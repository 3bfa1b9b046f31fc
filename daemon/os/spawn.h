// spawn: one leader from a plan, in one of two ways. On a launcher's thread; blocks until the exec.
//
// fast: clone3 with CLONE_VM, CLONE_VFORK and CLONE_FILES: neither memory nor descriptor table is copied.
// plain: fork, for doubt and for valgrind.
#pragma once

#include "daemon/os/child.h"
#include "daemon/os/launcher.h"

struct spawn {
    enum spawn_way way;
    const struct plan *plan;
    const struct child_setup *setup;
    struct child_report *report; // in memory shared by fork too; blank
    char *stacks[2];             // tops of two stacks: the child's, and the leader's where a reaper is between
    int cgroup;                  // to be born into, or -1
    bool reaper;                 // SLOT_CONTROL and SLOT_PROGRAM are set: put a reaper between
    const char *policy;          // of the reaper: "kill", "wait" or "keep"
};

// Returns 0 and the report filled (the leader runs its program, or was killed before it), or a negative
// errno where nothing was started or what was is reaped: the report's stage then tells which step failed.
// `ret_pidfd`: of the leader where there is no reaper, else 0; the caller's. Set by the clone itself.
int spawn_run(struct spawn *spawn, int *ret_pidfd);
