// instance: what makes this daemon the only one of its directories: they, their locks, and a name.
#pragma once

#include <stddef.h>

struct instance {
    int runtime_lock, state_lock; // owned descriptors
    char name[64];                // stable across restarts, unique a machine: for the cgroup and the like
};

// Makes the directories (0700) where missing, checks whose they are, and locks them. Returns 0, or a
// negative errno with `why`: -EADDRINUSE names the process that holds one.
int instance_open(struct instance *instance, const char *socket, const char *runtime_dir, const char *state_dir,
                  char why[400]);
void instance_close(struct instance *instance);
