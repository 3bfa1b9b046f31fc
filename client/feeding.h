// feeding: this process's stdin on its way to a job, a piece at a time: the next is read once the pipe of the job has taken
// the last one.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/call.h"

struct feeding {
    struct call *call; // borrowed
    struct ev_io readable;
    int64_t job;
    int64_t request; // under way; 0: none
    bool over;       // nothing more is given: the end was told, or the job takes no more
};

// Begins once the job is known. Its calls' answers go to the listener of `call`: pass them on to feeding_answer.
void feeding_begin(struct feeding *feeding, struct call *call, int64_t job);
// Returns whether the answer was this one's.
bool feeding_answer(struct feeding *feeding, int64_t id, bool accepted);
// The connection was made anew. Returns whether bytes were on their way, of which nobody knows whether they arrived: then
// nothing more is given.
bool feeding_renew(struct feeding *feeding);
void feeding_rest(struct feeding *feeding); // nothing is read until feeding_renew
void feeding_end(struct feeding *feeding);
