// worker: the daemon put together: its parts, its loop, its end.
#pragma once

#include "daemon/options.h"

// Runs until it is told to stop. Returns the exit status: 0 where all ended in order.
int worker_run(const struct options *options);
