// stored: the stored streams of a job as supd writes them, read from their descriptors.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ancillary.h"

struct stored {
    const char *maps[2]; // of stdout, stderr; NULL: empty, or not there
    size_t sizes[2];
    int64_t head_bytes, ring_bytes; // see Layout in the protocol
};

// Maps what came with the message; closes the descriptors. `layout`: of a live job; NULL: offsets are places. Returns 0, or a
// negative errno with nothing mapped.
int stored_open(struct stored *stored, const json_t *layout, struct ancillary *descriptors);
void stored_close(struct stored *stored); // one that was never opened is allowed
bool stored_is_open(const struct stored *stored);
// Bytes from `offset` on that lie together, up to `end`; 0: they are not there.
size_t stored_read(const struct stored *stored, int stream, int64_t offset, int64_t end, const char **ret_bytes);
