// family: processes for tests that look for them: members stand until they are signalled.
#pragma once

#include <sys/types.h>

enum { FAMILY_SIZE = 5 };

// Forks a child, its child, and so on, each in a session of its own, FAMILY_SIZE in all; `pids` from the
// oldest on. Returns when all stand. The oldest is this process's child.
void family_line(pid_t pids[FAMILY_SIZE]);
// One that has lost its parent and come to this process, which is made a subreaper.
pid_t family_orphan(const char *name); // its name, or NULL for this program's
