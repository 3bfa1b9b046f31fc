// recovery: a worker goes on where another stopped: its connections, its jobs, and what was waited for.
#pragma once

#include "daemon/control/control.h"

// Descriptors that records of the last worker name, into `fds`, at most `max`. Returns how many.
size_t recovery_descriptors(struct kept *kept, int *fds, size_t max);
// Before the listener runs.
void recovery_run(struct control *control);
