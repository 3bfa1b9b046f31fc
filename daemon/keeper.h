// keeper: the parent of the worker. It holds what must not die with it: the descriptor table that both share
// (clone(2), CLONE_FILES), the memory of daemon/os/kept, the orphans and how they ended. It reads no input, and
// allocates nothing once it runs.
#pragma once

#include "common/log.h"
#include "daemon/os/kept.h"

// How a worker says by its exit status what comes next.
enum { WORKER_DONE = 0, WORKER_FAILED = 1, WORKER_REEXEC = 77, WORKER_LEFT = 78 };

struct keeper {
    struct kept *kept;
    const struct log *log;
    int (*work)(void *data); // in the worker: runs it, returns its exit status
    void *data;
    int (*leave)(void *data); // all that is kept to the service manager: 0 or a negative errno
    char **argv;              // to be exec'ed again with
};

// Stays until the worker ended in order. Returns the exit status.
int keeper_run(const struct keeper *keeper);
