// screen: which modes of the terminal a job's output has switched on, so that they can be undone when one no longer
// looks at it. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SCREEN_SEQUENCE_MAX = 16 };

struct screen {
    bool alternate;                    // the alternate screen is shown
    bool changed;                      // some mode was set at all
    char partial[SCREEN_SEQUENCE_MAX]; // a sequence whose end is not here yet
    size_t partial_size;
};

// Looks at bytes that go to the terminal.
void screen_saw(struct screen *screen, const char *bytes, size_t size);
// What to write to leave them all, to be shown after the last bytes of the job. Static; "" where there is nothing to undo.
const char *screen_leave(const struct screen *screen);
