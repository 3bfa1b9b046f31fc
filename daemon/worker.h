// worker: the daemon put together: its parts, its loop, its end.
#pragma once

#include "daemon/options.h"

struct kept;

// Runs until it is told to stop. Goes on where another worker stopped, if `kept` says so. Returns the exit status: one of
// keeper.h.
// `settings`: to begin with, and to note in what is reloaded.
int worker_run(const struct options *options, struct config_kept *settings, struct kept *kept);
