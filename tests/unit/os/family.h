// family: processes for tests that look for them: members stand until they are signalled.
#pragma once

#include <sys/types.h>

enum { FAMILY_SIZE = 5 };

// Forks a child, its child, and so on, each in a session of its own, FAMILY_SIZE in all; `pids` from the
// oldest on. Returns when all stand. The oldest is this process's child.
void family_line(pid_t pids[FAMILY_SIZE]);
// One that has lost its parent and come to this process, which is made a subreaper. It runs that program (tests/child, by
// whatever name), or this one: NULL.
pid_t family_orphan(const char *program);
// The same with a child of its own, and with the words that a reaper is given.
pid_t family_holder(const char *program);
