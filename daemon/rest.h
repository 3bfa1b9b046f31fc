// rest: what a flood of jobs has left of memory goes back to the kernel once it is over. For worker.c.
#pragma once

#include <ev.h>
#include <stdint.h>

struct worker;

struct rest {
    struct ev_timer timer; // once, a while after something has ended
    int64_t seen, trimmed; // jobs accepted, when it was looked at last, and when it was done last
};

void rest_init(struct worker *worker);
void rest_later(struct worker *worker); // something has ended
