// strays: processes that lost their reaper and came to the daemon, which is the next subreaper above.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

struct strays;
struct tree;

int strays_new(struct ev_loop *loop, struct strays **ret_strays);
void strays_free(struct strays *strays); // NULL is allowed

// Reapers that are alive: their ends are their trees' business.
void strays_know(struct strays *strays, struct tree *tree);
void strays_unknow(struct strays *strays, struct tree *tree);
// A reaper was killed: whatever came to the daemon is killed and reaped, from now on until nothing of it is left.
void strays_sweep(struct strays *strays);
