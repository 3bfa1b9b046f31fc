// stand: what child_run and spawn_run need around them: slots, shared memory, stacks, and a place for output.
#pragma once

#include "daemon/os/child.h"
#include "daemon/os/spawn.h"

struct stand {
    struct child_setup setup;
    struct child_report *report; // shared with children
    char *stacks;
    int null, output; // output: a file in memory, laid into the slots of stdout and stderr
    char dir[64];     // a directory of the test's own, which anybody may enter and write
};

void stand_open(struct stand *stand);
void stand_close(struct stand *stand);
// A plan that runs tests/child with the argument, in `dir`, with nothing but PATH=/nowhere in its environment.
void stand_plan(const struct stand *stand, struct plan *plan, const char *argument);
void stand_argv(struct plan *plan, const char *first, const char *second); // instead; resolves it too
void stand_env(struct plan *plan, const char *variable);                   // instead
struct spawn stand_spawn(struct stand *stand, enum spawn_way way, const struct plan *plan);
const char *stand_output(const struct stand *stand); // all written so far; valid until the next call
// From here on the test is an ordinary user: what root may always do fails too.
void stand_drop_root(void);
