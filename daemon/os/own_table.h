// own_table: what starts programs in the daemon's name does so with a descriptor table of its own.
//
// A child gets a copy of its parent's table (fork(2)), and closes it as it exec's. In the daemon's there may be what others have
// passed, and each close of a file may hang (common/closing): the child then, and whoever waits for it.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

// Calls that in a thread which has 0 to 2 and whatever it opens itself, and all signals blocked. Returns what it returned;
// false where there is no thread to be had.
bool own_table_call(bool (*function)(void *data), void *data);
// From in there: a program, looked up as execvp(3) does, that has no signal blocked; `out`: its stdout, or -1. Returns 0 or a
// negative errno.
int own_table_spawn(const char *program, char *const *argv, int out, pid_t *ret_pid);
