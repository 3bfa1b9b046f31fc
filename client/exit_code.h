// exit_code: what a job's end is to a shell. Pure.
#pragma once

#include <jansson.h>

enum {
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 124,
    EXIT_CANNOT = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    EXIT_SIGNAL = 128
};

// The exit code for the record of a final job; EXIT_CANNOT for one that is not final.
int exit_code(const json_t *job);
