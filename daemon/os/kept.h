// kept: memory that outlives the worker: all that a new one needs to go on where the old one stopped, wherever that was.
//
// One mapping, shared by keeper and worker (memfd_create(2), so that it outlives an exec too): a head, tables of
// records of a fixed size, and blocks for what has no fixed size. Floors above lay their own structs into the records.
// A worker can be killed between any two instructions, so: a record counts once its id is set; what must change as
// one goes through kept_store; a blob is written before it is published. Fields are only ever appended, and zero
// means what it was like before there was the field: so the next version reads what this one left behind.
// Used by the worker's loop; the keeper uses the head alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "daemon/core/outcome.h"

enum kept_kind { KEPT_JOB, KEPT_SESSION, KEPT_CALL, KEPT_KIND_COUNT };

enum {
    KEPT_FORM = 1,        // of all this: the next one knows how to read those before
    KEPT_JOB_SIZE = 1024, // of a record
    KEPT_SESSION_SIZE = 64,
    KEPT_CALL_SIZE = 256,
    KEPT_RECORDS = 1 << 17, // of each kind
    KEPT_JOURNAL = 4096,
    KEPT_EVENTS = 10000,
    KEPT_MARK = 16,
    KEPT_SLOTS = 32 * 6,
    KEPT_SCRATCH = 65536,
};

// Bytes without a fixed size; size 0: none.
struct kept_blob {
    uint32_t block, size;
};

// The end of a process that came to the keeper.
struct kept_end {
    pid_t pid;
    struct leader_exit end;
};

// A read from a job's pipe that is under way. How much it will take is known before (FIONREAD, nobody else reads), so
// that only whether it took place has to be found out afterwards: then the mark at its place is gone.
struct kept_read {
    int armed;
    int stream;
    int64_t job, total, stored; // the log as it was
    uint32_t size;
    bool in_scratch, is_marked;
    uint8_t mark_size;
    unsigned char mark[KEPT_MARK], before[KEPT_MARK]; // there, and what was there
};

struct kept_event {
    int64_t job; // 0: none
    double at;
    uid_t owner;
    int type;
};

// What a worker asks of its keeper: bits of `asks`, then SIGUSR1.
enum { KEPT_ASK_READY = 1, KEPT_ASK_STOPPING = 2, KEPT_ASK_RELOADING = 4, KEPT_ASK_ROOM = 8 };

struct kept_head {
    uint64_t magic;
    uint32_t version;
    int fd; // of the mapping; -1: it can't be handed on
    // The keeper's.
    pid_t keeper;                 // 0: there is none
    int news;                     // eventfd: there is something in the journal
    unsigned asks;                // atomic
    unsigned starts, ready_start; // of workers; the last that got ready
    bool is_stopping, was_ready;
    bool leave_failed;    // the service manager did not take what runs
    int foreign_listener; // of the service manager, to be taken; 0: none
    bool is_foreign;      // the listener is the service manager's
    unsigned beats;       // atomic: of the worker's loop, where there is a watchdog
    double started_wall, started_mono;
    uint64_t journal_end, journal_start; // atomic: written up to there by the keeper, read by the worker
    // The worker's.
    int listener, locks[2], slot_count, slots[KEPT_SLOTS]; // descriptors; 0: none
    int64_t next_job, next_serial, next_file;
    int64_t first_event, last_event;
    uint32_t used[KEPT_KIND_COUNT];
    struct kept_read read;
    struct {
        int armed;
        uint32_t size;
        uint64_t at;
        char bytes[KEPT_JOB_SIZE];
    } store;
    struct kept_end journal[KEPT_JOURNAL];
    struct kept_event events[KEPT_EVENTS];
    char scratch[KEPT_SCRATCH];
    uint64_t
        journal_base; // the keeper's: what stands in the journal's first place. It begins anew whenever it is empty, so that
                      // it takes no more memory than the most ends at a time
};

struct kept {
    struct kept_head *head;
    // Private to the process, and made anew with it.
    uint64_t *blocks_taken;         // a bit each
    uint32_t block_hint, block_top; // where to look first; none above was ever taken
    struct kept_free {
        uint32_t *list;
        size_t count, capacity;
    } free[KEPT_KIND_COUNT];
};

// A new memory. Returns 0 or a negative errno.
int kept_new(struct kept *ret_kept);
// What descriptor `fd` holds, left by a process of this pid before its exec. Returns 0 or a negative errno.
int kept_inherit(struct kept *ret_kept, int fd);
// What a daemon before us left with the service manager: it is ours now, at descriptor `fd`.
int kept_resume(struct kept *ret_kept, int fd);
// In a new worker: finishes what the last one had begun to store, and counts what is in use. Blobs that are not claimed
// count as free. Returns 0, -ENOMEM, or -EINVAL: no worker has left it like this.
int kept_begin(struct kept *kept);
void kept_end(struct kept *kept); // in a worker that leaves: frees what is private

// A blank record with that id, never 0. NULL: no memory, or all are in use.
void *kept_take(struct kept *kept, enum kept_kind kind, int64_t id);
void kept_drop(struct kept *kept, enum kept_kind kind, void *record); // NULL is allowed; its blobs are freed before
// The records in use, one after another: NULL begins, NULL ends.
void *kept_next(struct kept *kept, enum kept_kind kind, const void *before);
int64_t kept_id(const void *record);
// The time in which somebody was made: rises by one with each.
int64_t kept_serial(struct kept *kept);

// Gives memory back to the kernel that nothing is in, as after a flood.
void kept_trim(struct kept *kept);

// Copies into a record, as a whole even if the worker dies in the middle. At most KEPT_JOB_SIZE bytes.
void kept_store(struct kept *kept, void *to, const void *from, size_t size);

// Replaces a record's blob. Returns 0, or -ENOMEM: then it has the one it had.
int kept_blob_put(struct kept *kept, struct kept_blob *blob, const void *bytes, size_t size);
void kept_blob_drop(struct kept *kept, struct kept_blob *blob);
const char *kept_blob_get(const struct kept *kept, const struct kept_blob *blob); // NULL where there is none
char *kept_blob_edit(const struct kept *kept, const struct kept_blob *blob);      // in place
void kept_blob_claim(struct kept *kept, struct kept_blob *blob); // after kept_begin; one that lies nowhere becomes none

// The journal. The keeper's side: whether there is room, and one more.
bool kept_journal_room(const struct kept_head *head);
void kept_journal_put(struct kept_head *head, pid_t pid, const struct leader_exit *end);
// The worker's: the next entry, or NULL; and that it has been dealt with.
const struct kept_end *kept_journal_peek(const struct kept_head *head);
void kept_journal_pop(struct kept_head *head);

// The worker asks its keeper, if there is one.
void kept_ask(struct kept_head *head, unsigned what);
