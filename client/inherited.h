// inherited: what a job takes over from the one who runs supctl: directory, environment, umask, stdin.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// Adds cwd, env and umask where the spec has none; env goes below what the spec names. Returns 0, or -1 with `why`.
int inherited_fill(json_t *spec, char why[512]);

// Whether this process has a stdin to give: it is open, and neither a terminal nor /dev/null.
bool inherited_has_stdin(void);

// Reads all of the descriptor, `max` bytes at most. Returns an allocation ended by NUL, or NULL with errno
// (EFBIG: more than `max`).
char *inherited_read_all(int fd, size_t max, size_t *ret_size);
