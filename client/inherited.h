// inherited: what a job takes over from the one who runs supctl: directory, environment, umask, stdin.
#pragma once

#include <jansson.h>
#include <stdbool.h>

enum { INHERITED_STDIN_MAX = 5 << 20 }; // as base64 it fits a request of 8 MiB

// Adds cwd, env and umask where the spec has none; env goes below what the spec names. Returns 0, or -1 with `why`.
int inherited_fill(json_t *spec, char why[512]);

// What a job can take for its stdin: all of it beforehand, a stream to be fed while it runs, or either.
enum inherited_way { INHERITED_DATA, INHERITED_STREAM, INHERITED_EITHER };

// Gives the spec this process's stdin, unless that is a terminal, closed or /dev/null. Returns 0, or -1 with `why`.
int inherited_stdin(json_t *spec, enum inherited_way way, char why[512]);

// Reads all of the descriptor, `max` bytes at most. Returns an allocation ended by NUL, or NULL with errno
// (EFBIG: more than `max`).
char *inherited_read_all(int fd, size_t max, size_t *ret_size);
