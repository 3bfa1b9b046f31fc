// watchdog: how often the service manager wants to hear of us (sd_watchdog_enabled(3)).
#pragma once

#include <stdlib.h>

// Seconds; 0: never.
static inline double watchdog_seconds(void) {
    const char *usec = getenv("WATCHDOG_USEC");
    double seconds = usec ? strtod(usec, NULL) / 1e6 : 0;
    return seconds > 0 && seconds < 1e6 ? seconds : 0;
}
