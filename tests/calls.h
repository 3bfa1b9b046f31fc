// calls: which call fails: the N-th of some kinds. A file of this, which whoever tests has mapped too, says so while the process
// under test runs: tests/e2e/failing.py has the same.
#pragma once

#include <stdint.h>

enum calls_kind {
    CALLS_MEMORY = 1,
    CALLS_DATABASE = 2,
    CALLS_DESCRIPTORS = 4,
    CALLS_PROCESSES = 8,
    CALLS_SENDING = 16,
    CALLS_RECEIVING = 32,
    CALLS_WRITING = 64,
    CALLS_SYNCING = 128,
    CALLS_SPACE = 256,
    CALLS_WATCHING = 512
};

struct calls {
    int32_t kinds, nth, count, has_failed; // nth: from 1; 0: none
    char what[100];                        // the call that failed, and on which file
};

// Whether this one does. It is counted.
static inline int calls_fails(struct calls *calls, int kind) {
    if (!(calls->kinds & kind) || calls->nth == 0)
        return 0;
    if (__atomic_add_fetch(&calls->count, 1, __ATOMIC_SEQ_CST) != calls->nth)
        return 0;
    calls->has_failed = 1;
    return 1;
}
