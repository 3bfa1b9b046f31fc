// lingering: files of logs that are no more, for as long as others have them open. Nobody finds them any more, yet they take
// what they took: so they stay on their owner's account, and in the directory, where the next worker finds them.
//
// That nobody has a file open is told by the kernel, which gives a lease for it only then (F_SETLEASE). It does not say when
// that becomes so: it is looked at where room is needed, and once things are at rest.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/owner.h"

// Of one owner: with so many, no further log of theirs is given as a descriptor.
enum { LINGERING_MOST = 256 };
enum { LINGERING_TURN = 256 }; // looked at at a time

struct lingering_file;

struct lingering {
    int directory; // descriptor, borrowed
    struct lingering_file *files;
    int64_t count;
};

// A file that its log does not need any more. False: nobody has it open, and it is removed. True: it stays on the account, also
// of its share, whose owner is there for as long as something is used of it.
bool lingering_add(struct lingering *lingering, uint64_t file, struct share *share, int64_t bytes);
// The same for one that the worker before us has left, by its name. Returns the bytes that it takes, now on its owner's
// account, where that is known.
int64_t lingering_adopt(struct lingering *lingering, const char *name, struct owners *owners);
// Removes those that nobody has open any more, of one share or, for NULL, of all: of no more than some hundred at a time, each
// time of others. Returns the bytes that they took, which their owner does not have any more.
int64_t lingering_look(struct lingering *lingering, const struct share *share);
void lingering_done(struct lingering *lingering, bool remove); // else they are the next worker's to find
