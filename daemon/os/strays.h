// strays: processes that lost their reaper and came to the next subreaper above: the keeper, or the daemon where there is none.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

struct strays;
struct tree;

// `parent`: to whom they come: the keeper, whose news come by `adopted`; or this process, and `adopted` is NULL.
struct adopted;
int strays_new(struct ev_loop *loop, pid_t parent, struct adopted *adopted, struct strays **ret_strays);
void strays_free(struct strays *strays); // NULL is allowed

// Reapers that are alive: their ends are their trees' business.
void strays_know(struct strays *strays, struct tree *tree);
void strays_unknow(struct strays *strays, struct tree *tree);
// A reaper was killed: whatever came to the daemon is killed and reaped, from now on until nothing of it is left.
void strays_sweep(struct strays *strays);
