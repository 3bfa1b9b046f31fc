// sweep: the processes below one process, found and signalled. No allocation after the first calls; for
// the reaper and for the daemon's look at a reaper's tree.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SWEEP_MAX = 8192 };

// The descendants of `root`, parents before children, at most `max` of them. Returns how many were written.
size_t sweep_list(pid_t root, pid_t *pids, size_t max);
// The children of `pid` alone.
size_t sweep_children(pid_t pid, pid_t *pids, size_t max);
// The parent of a process, or -1.
pid_t sweep_parent(pid_t pid);
// As in proc(5), such as 'S', 'Z', or 'T' and 't' for one that is stopped or held by a tracer; 'X': there is none.
char sweep_state(pid_t pid);
// Whether this process may look at all: not if somebody took descriptors or memory from it.
bool sweep_can(void);
// Signals every descendant of `root` once, through pidfds, each only if it still descends from it. Returns how many were reached.
size_t sweep_signal(pid_t root, int sig);
// SIGKILL for the first `max` of them alone: for who has other things to do.
size_t sweep_kill_some(pid_t root, size_t max);
// Stops every descendant of `root` that runs. Returns how many did, but for those who wait in the kernel and stop behind that:
// once it is none, nobody is left who could fork.
size_t sweep_freeze(pid_t root);
// SIGKILL for all of those, so that none of them runs before its end.
size_t sweep_kill_frozen(pid_t root);
// User and system time of a process, in seconds: its own, and with those of the children that it has waited for. The latter is
// in /proc/PID/stat alone, and who reads that waits while the process is in execve(2), be it for ever.
double sweep_clock(pid_t pid);
double sweep_cpu(pid_t pid);
// One of these of `root` and all its descendants.
double sweep_sum(pid_t root, double (*used)(pid_t pid));
