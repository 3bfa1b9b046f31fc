// rest: what jobs have left behind goes once they are over: memory of a flood of them, children that they made ours, and
// output that others had open.
// For worker.c.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

struct rest {
    struct ev_timer timer;   // once, a while after something has ended
    int64_t ended, returned; // jobs, when it was looked at last, and when memory was given back last
    bool was_flood;          // it was in the middle of one
};

void rest_init(struct worker *worker);
void rest_later(struct worker *worker); // something has ended
