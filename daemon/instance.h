// instance: what makes this daemon the only one of its directories: they, their locks, and a name.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"

struct instance {
    int runtime_lock, state_lock; // owned descriptors
    char trouble[400];            // why nothing can be kept in the state directory; "": it can
    char name[64];                // stable across restarts, unique a machine: for the cgroup and the like
};

// Makes the directories (0700; the way to a shared socket 0755) where missing, checks whose they are, and that nobody else
// can put another socket in the place of ours, and locks them. Returns 0, or a
// negative errno with `why`: -EADDRINUSE names the process that holds one. Where that is gone, and only its worker is left
// to end its jobs, waits until it has.
// `locks`: those that are held already, 0: none; and that are held from now on. `pid`: to be named to others.
struct instance_parts {
    const struct log *log;
    const char *socket, *runtime_dir, *state_dir;
    bool is_shared; // other users must get to the socket
    int *locks;
    long pid;
};
int instance_open(struct instance *instance, const struct instance_parts *parts, char why[400]);
void instance_close(struct instance *instance);
