// strays: processes that lost their reaper and came to the next subreaper above: the keeper, or the daemon where there is none.
// And reapers themselves, once they are over or somebody has stopped them.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

struct strays;
struct tree;

// `parent`: to whom they come: the keeper, whose news come by `adopted`; or this process, and `adopted` is NULL. `reaper_fd`:
// of the reapers' program, borrowed.
struct adopted;
int strays_new(struct ev_loop *loop, pid_t parent, struct adopted *adopted, int reaper_fd, struct strays **ret_strays);
void strays_free(struct strays *strays); // NULL is allowed

// Reapers that are alive: their ends are their trees' business.
void strays_know(struct strays *strays, struct tree *tree);
void strays_unknow(struct strays *strays, struct tree *tree);
// A reaper that is over: reaped as soon as it has ended and nobody traces it any more, which nobody waits for.
void strays_reap(struct strays *strays, pid_t holder);
// A reaper was killed: whatever came to the daemon is killed and reaped, from now on until nothing of it is left.
void strays_sweep(struct strays *strays);
