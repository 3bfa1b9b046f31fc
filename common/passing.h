// passing: the descriptors that travel with a stream's lines, and what becomes of those that nobody takes.
//
// Coming in: a set belongs to the line with whose first byte it came, and is closed when that has been handed out.
// Going out: a set leaves with the byte at its offset.
#pragma once

#include <stdint.h>

#include "common/ancillary.h"

struct passing_out {
    uint64_t at;
    int fds[ANCILLARY_MAX]; // owned
    int count;
    struct passing_out *next;
};

struct passing {
    struct ancillary in;            // of the line that comes in
    struct passing_out *out, *last; // list, by offset
    // Asked whether `count` more descriptors may be kept (0 or a negative errno), told that -count of them have gone.
    // NULL: nobody counts.
    int (*account)(void *data, int count);
    void *data;
};

void passing_done(struct passing *passing);

// What came with the first byte of a line: taken over, or closed where the account has no room.
void passing_in(struct passing *passing, struct ancillary *what);
// It is the caller's from now on, in the account too.
struct ancillary passing_take(struct passing *passing);
void passing_leave(struct passing *passing); // the line is over: what was not taken is closed
void passing_lose(struct passing *passing); // they are closed before the line is whole: too many, to whoever takes them

// Sends them with the byte at `at`, which is not sent yet and behind those of earlier sets. They are taken over, and
// in the account already. Returns 0, or -ENOMEM with them still the caller's.
int passing_give(struct passing *passing, uint64_t at, const int *fds, int count);
// The set for the byte at `at`, or NULL. `ret_room`: how many bytes can go with it before the next set is due.
const struct passing_out *passing_next(const struct passing *passing, uint64_t at, size_t *ret_room);
void passing_gone(struct passing *passing); // the first set was sent
