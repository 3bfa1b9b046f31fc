// owner: a user that has connections or jobs, with what they use now of the daemon's means, and what they had.
//
// Where one daemon serves many, each user's use is bounded by a share (see the owner_* settings), so that one at their
// limit is not noticed by another. Root and the daemon's own user are bounded by the daemon's limits alone.
// On the loop's thread only.
#pragma once

#include <uthash.h>

#include "daemon/core/outcome.h"

struct claimant;
struct owners;

// What is used of a bound.
struct share {
    int64_t used, ever;
    const int64_t *limit; // borrowed; NULL: none
    uid_t uid;            // whose it is
    int64_t lingering;    // of what is used: files that others have open
    double look_due;      // monotonic: before, it is not looked for want of room whether they still have
};

// Pipes of one owner's jobs, whoever it is, that may be larger than they come.
enum { OWNER_LARGE_PIPES = 64 };
// Bytes of the orders in which their jobs' streams were read; they are kept for the next worker, too.
enum { OWNER_ORDER_BYTES = 16 << 20 };

// The bounds of one owner. All are counts or bytes.
struct owner_limits {
    int64_t clients, calls, live_jobs, queued_jobs, queued_bytes, output_bytes, descriptors;
};

struct owner {
    uid_t uid;
    char *name; // owned: as the user database last had it, or NULL
    bool is_exempt;
    int references;
    struct claimant *claimant; // referenced, of whoever is served; or NULL
    // Now:
    int64_t clients, calls, live_jobs, descriptors;
    int64_t until_waits;  // calls that look for a text in all that a job prints
    int64_t queued_bytes; // given for live jobs, what waits for their stdin, and what of the history is in memory
    uint64_t turn;        // of the loop in which
    double turn_used;     // so many seconds went to requests and events
    int unfinished;       // batches that go on in the next turn
    uint64_t told_turn;   // in which an event was told last
    struct share output;  // bytes: stored of live jobs, and of final ones in memory
    int64_t large_pipes;  // of live jobs, that were made larger
    int64_t order_bytes;  // of jobs in memory
    int64_t final_jobs, final_bytes; // final ones in memory, and what they take there
    // Ever:
    int64_t accepted, requests, connections, by_reason[REASON_COUNT];
    UT_hash_handle by_uid;
};

// NULL when memory is out. `own`: the uid that is exempt beside root; `limits` are those of the others.
struct owners *owners_new(uid_t own, const struct owner_limits *limits);
void owners_free(struct owners *owners, void (*release)(struct claimant *)); // all references released
void owners_set_limits(struct owners *owners, const struct owner_limits *limits);
const struct owner_limits *owners_limits(const struct owners *owners);

// With one more reference; NULL when memory is out. Whoever was served once, or has output stored, is remembered.
struct owner *owner_get(struct owners *owners, uid_t uid);
struct owner *owner_find(const struct owners *owners, uid_t uid); // without a reference, or NULL
// Whoever has most final jobs in memory, or whose take most; NULL: nobody is there.
struct owner *owners_largest(const struct owners *owners, bool by_bytes);
void owner_hold(struct owner *owner);
void owner_release(struct owners *owners, struct owner *owner); // NULL is allowed
void owner_set_name(struct owner *owner, const char *name);

// Whether `used` of a share may become more by `more`. An exempt owner's may.
static inline bool owner_may(const struct owner *owner, int64_t used, int64_t more, int64_t limit) {
    return owner->is_exempt || more <= limit - used;
}
