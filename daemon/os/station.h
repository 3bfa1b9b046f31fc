// station: where one launcher's thread makes its launches: its slots, its stacks, and the memory it shares with
// the child.
//
// Opened and closed on the loop's thread, used on the launcher's; station_doom on the loop's.
#pragma once

#include "daemon/os/child.h"
#include "daemon/os/launcher.h"

enum {
    // What a launch has open at most for its own duration: a cgroup's directory and what joins it, or the far end of
    // the reaper's control socket; and the far end of a pipe, then the two of the one that tells a plain spawn's exec.
    STATION_DESCRIPTORS = 4
};

struct station {
    enum spawn_way way;
    int null;                    // of /dev/null, borrowed
    int dumpable;                // of fs.suid_dumpable, borrowed; -1: nobody becomes another user
    struct child_setup setup;    // with the station's own slots
    struct child_report *report; // in a mapping shared with children: of the launch, else our own
    struct child_report *own;
    char *stacks; // mapping: guard, stack, guard, stack
};

// Returns 0 or a negative errno. `setup` and its slots are copied.
int station_open(struct station *station, enum spawn_way way, const struct child_setup *setup, int null, int dumpable);
void station_close(struct station *station); // not while it makes a launch; one that was never opened is allowed

// Makes ready for the next launch: whoever dooms the station from now on means that one.
void station_clear(struct station *station, const struct launch *launch);
// Turns the launch's plan into a running leader and fills in its result. Blocks until the exec.
void station_make(struct station *station, struct launch *launch);
// SIGKILLs the leader of the launch that is being made, be it that it has not begun yet. The caller sees to it
// that the launch is not over meanwhile, so that the pid is its own but for the moments before that.
void station_doom(struct station *station);
