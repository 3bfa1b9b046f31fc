// holders: how much of the history each user's final jobs take. For history_file, on the writer's thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "daemon/core/owner.h"

struct holder {
    uid_t uid;
    int64_t count, bytes;
    UT_hash_handle hh;
};

struct holders {
    struct holder *table; // hash
    bool failed;          // memory was out once: some are missing
};

void holders_add(struct holders *holders, uid_t uid, int64_t count, int64_t bytes); // negative: less
void holders_done(struct holders *holders);
// What is left of those that have gone (`output` of the same user there) counts as well.
int64_t holder_bytes(const struct holder *holder, const struct owners *left);
// Whoever has more than so much, but for root and `exempt`, or NULL.
struct holder *holders_over(const struct holders *holders, const struct owners *left, uid_t exempt, int64_t count_max,
                            int64_t bytes_max);
// Whoever has most, of jobs or of bytes; NULL: nobody has any.
struct holder *holders_largest(const struct holders *holders, bool by_bytes);
