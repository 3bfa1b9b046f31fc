// cgroup_find: whether there is a cgroup v2 hierarchy that supd may use, and where.
#pragma once

#include <limits.h>

// Finds the hierarchy's mount and the daemon's own cgroup, and makes the directory `name` in it. Returns 0 and the
// path, the caller's; or a negative errno with `why`.
int cgroup_find(const char *name, char **ret_path, char why[160]);
// The daemon's own cgroup, "" for the root; without the part that is for itself alone. Returns 0 or a negative errno.
int cgroup_find_own(char own[PATH_MAX]);
// Tries it out in the directory: a process is put into a cgroup and killed there. Returns 0 or a negative errno with `why`.
int cgroup_try(int dir, char why[160]);
