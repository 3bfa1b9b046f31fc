// daemon_start: starting the daemon on demand, one only however many ask at once.
#pragma once

#include <stdbool.h>

// Starts supd for the socket at `path`, or finds the one that another has just started, and connects to it.
// Returns a connected descriptor, or a negative errno with `why`.
int daemon_start(const char *path, bool system, char why[1024]);
