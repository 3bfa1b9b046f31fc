// descriptors: how many the daemon may still open, kept as a budget.
//
// Whoever is going to hold some for long takes them here first, before it promises anything: so the answer to running
// out is a refusal where the request comes in, never a failure in the middle of work that was accepted.
// On the loop's thread only.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct descriptors {
    int64_t taken; // of the limit, by everybody
};

// Closes all but these and 0 to 2, and marks these close-on-exec. Sorts the list. Whatever others have passed, it takes a moment
// only.
void descriptors_keep(int *fds, size_t count);
// Counts what is open now, and sets `reserve` aside for what is opened for a moment only.
void descriptors_init(struct descriptors *descriptors, int64_t reserve);
// Takes `count` if that leaves at least `spare` to others. Returns 0 or -EMFILE.
int descriptors_take(struct descriptors *descriptors, int64_t count, int64_t spare);
void descriptors_give(struct descriptors *descriptors, int64_t count);
int64_t descriptors_limit(void); // RLIMIT_NOFILE now
// What to leave to clients when it is not they who take: whoever can't get in can't end anything either.
int64_t descriptors_for_clients(void);
