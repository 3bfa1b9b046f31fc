// closer: processes that close what may hang (see common/closing): one each, which shares the table of descriptors and waits in
// the daemon's stead.
//
// A thread would not do: a process is not gone before its threads are, so a worker with one that hangs could not be ended.
// Of one user CLOSER_EACH may be under way; then no descriptors of theirs are taken until one has come to its end, and those that
// had been taken before wait for their turn.
#pragma once

#include <ev.h>
#include <stddef.h>

enum { CLOSER_EACH = 16, CLOSER_AT_ONCE = 64 };

// Closes some that may hang, where no loop turns: at most CLOSER_AT_ONCE. They are closed then, or out of the table at least.
void closer_close(const int *fds, size_t count);

struct closer;
int closer_new(struct ev_loop *loop, struct closer **ret_closer); // and makes it closing's host
void closer_free(struct closer *closer);                          // those under way go on. NULL is allowed
