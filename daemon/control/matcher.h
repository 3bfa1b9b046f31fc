// matcher: looks for a text in the output of a job as it comes, from offset 0.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/job.h"

struct matcher;

// Looks in the streams of `mask` (bits 1 << stream). Returns NULL when memory is out.
struct matcher *matcher_new(unsigned mask, const char *text, size_t size);
// What it looks for.
const char *matcher_text(const struct matcher *matcher, unsigned *ret_mask, size_t *ret_size);
void matcher_free(struct matcher *matcher);
// The next bytes of a stream; a jump in the offset breaks a match begun. Returns whether the text was found.
bool matcher_feed(struct matcher *matcher, int stream, int64_t offset, const char *bytes, size_t size);
// Feeds what was stored of the job when this was called first, some `most` bytes of it; the next call goes on. *ret_more: it is not
// through.
bool matcher_scan(struct matcher *matcher, const struct job *job, size_t most, bool *ret_more);
// Makes it ready for what comes from here on: with the end of what there is, which is no match by itself.
void matcher_join(struct matcher *matcher, const struct job *job);
