// endpoint: where the daemon's socket is, and a connection to it; starting the daemon where none runs.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct endpoint {
    const char *socket; // --socket, else $SUPD_SOCKET; NULL: by scope. Borrowed
    bool user, system;  // the scope asked for; neither: whichever is live, else one's own
    bool no_autostart;
    char found[PATH_MAX]; // by scope: where endpoint_connect has connected
};

// Returns a connected descriptor, or a negative errno with `why` saying what failed and what to do.
int endpoint_connect(struct endpoint *endpoint, char why[1024]);

// The same, to where endpoint_connect has connected alone, and without starting a daemon: another daemon, or another user's,
// would know other jobs by the same numbers.
int endpoint_connect_again(const struct endpoint *endpoint, char why[1024]);
