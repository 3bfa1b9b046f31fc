// endpoint: where the daemon's socket is, and a connection to it; starting the daemon where none runs.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct endpoint {
    const char *socket; // --socket, else $SUPD_SOCKET; NULL: by scope. Borrowed
    bool user, system;  // the scope asked for; neither: whichever is live, else one's own
    bool no_autostart;
};

// Returns a connected descriptor, or a negative errno with `why` saying what failed and what to do.
int endpoint_connect(const struct endpoint *endpoint, char why[1024]);
