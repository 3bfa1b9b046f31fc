// spool: the byte log of one stream, a head and a ring.
//
// Offsets are absolute, from 0. Bytes below head_bytes are kept; later ones overwrite a ring of tail_bytes in
// place, so that any length costs head + tail at most. What was overwritten, and what came after limit_bytes,
// are gaps. A log lives in a file of the spool directory, made at the first byte and mapped, so that a pipe is read
// straight into it and no descriptor is held. Space is allocated before it is written (posix_fallocate(3)):
// a full disk is an answer here, never SIGBUS. Where no more is to be had the log ends: the rest is a gap.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/owner.h"

struct spool_host;

struct spool {
    struct spool_host *host;        // borrowed; outlives the spool
    struct share *share;            // borrowed: its owner's, or NULL. Set behind spool_init, before spool_resume
    int64_t head_bytes, tail_bytes; // the budget
    int64_t ring_bytes;             // the ring itself: tail_bytes, more where a follower must not lose anything
    int64_t limit_bytes;            // -1: none
    int64_t total;                  // bytes written by the job so far
    int64_t stored;                 // of them, those offered to head and ring: min(total, limit)
    char *map;                      // owned, or NULL
    size_t map_size, allocated;
    uint64_t file; // number of the file, 0: none
    bool sealed;
    bool shared;        // somebody may have the file open: its layout stays as it is
    bool is_unreadable; // its `path` did not give what should be there: all of it is a gap
    bool is_refused;    // the last read came to nothing for want of a descriptor or memory: it is there all the same
    char *small;        // owned: the file's bytes in memory, of a sealed log that is short
    char *path;         // owned: of a log that stands in the history: its file there, read when it is asked for
};

// A directory for logs: `path` itself where it is on a tmpfs, else one made in /dev/shm where that is one and nobody else has
// taken the name, else `path`.
// Files left there by an earlier daemon are removed, unless this one goes on with them (`resumed`): then when all logs that
// are still wanted were resumed, by spool_host_settle. `cap`: bytes that all logs together may take. `scratch`: 64 KiB for
// bytes on their way, borrowed; whoever resumes finds them there. Returns 0 or a negative errno.
struct spool_host_parts {
    const char *path, *name;
    int64_t cap;
    char *scratch;
    bool resumed;
    double (*now)(void); // NULL: now_mono
};
int spool_host_new(const struct spool_host_parts *parts, struct spool_host **ret_host);
// What others still have open of those that are not wanted stays on its owner's account.
void spool_host_settle(struct spool_host *host, struct owners *owners);
// Files that others had open when their logs went, and have no more, go: of one share or, for NULL, of all. `lingers`: there
// are some. Returns whether any went.
bool spool_host_look(struct spool_host *host, const struct share *share);
bool spool_host_lingers(const struct spool_host *host);
void spool_host_free(struct spool_host *host); // all logs freed before; removes a directory it made
const char *spool_host_path(const struct spool_host *host);
int64_t spool_host_stored(const struct spool_host *host);   // bytes taken now
int64_t spool_host_captured(const struct spool_host *host); // bytes read since the start

void spool_init(struct spool *spool, struct spool_host *host, int64_t head, int64_t tail, int64_t limit);
// A log as another process left it, by its numbers: opens its file again. Where that is gone, what it held is a gap.
void spool_resume(struct spool *spool, struct spool_host *host);
// In it: where the next byte goes, as spool_room says. NULL: not into the file.
// A log of the history: by its numbers, and what is kept of it in memory (taken over) or in a file. Where what should be
// there is not, it is a gap. The file is not mapped: one that is cut short, or on a bad disk, would end whoever reads it.
void spool_load(struct spool *spool, char *data, size_t size, const char *path);
// What is kept of a sealed log, as it stands in its file: how many bytes, where (NULL: nothing), and the file's path (the
// caller's; NULL: none).
size_t spool_image(const struct spool *spool, const char **ret_data, char **ret_path);
// The file has moved: from now on it is read there.
void spool_move(struct spool *spool, const char *path);
char *spool_place(const struct spool *spool);
void spool_forget_file(struct spool *spool); // one that had only begun: its first piece is in the scratch place
void spool_done(struct spool *spool);
// Makes the ring at least `bytes` large. Only before the first byte.
void spool_widen(struct spool *spool, int64_t bytes);

// Where to read the next bytes to: sets *ret_room to at least 1 byte at most `max`; what is read there is then
// told by spool_commit. `hold`: the lowest offset that must not be dropped (INT64_MAX: none); room 0 says
// that nothing can be read without dropping it. Never NULL: bytes that are not to be stored go to a scratch place.
char *spool_room(struct spool *spool, size_t max, int64_t hold, size_t *ret_room);
void spool_commit(struct spool *spool, size_t size);

// The gaps, in order, each [start, end). Returns how many (0 to 2).
int spool_gaps(const struct spool *spool, int64_t gaps[2][2]);
// The first stored byte at `offset` or after it; spool->total where there is none.
int64_t spool_skip_gap(const struct spool *spool, int64_t offset);
// Where the stored bytes from `offset`, one of them, end: at a gap or at the end.
int64_t spool_gap_after(const struct spool *spool, int64_t offset);
// Bytes at `offset`, as many as lie together (at most to the next gap or the ring's seam); 0 in a gap or at the end. Of a log
// in the history no more than SPOOL_PIECE, read into `piece`; 0: it can't be read, and is a gap from now on.
enum { SPOOL_PIECE = 16384 };
size_t spool_peek(struct spool *spool, int64_t offset, char piece[SPOOL_PIECE], const char **ret_data);
// Copies up to `max` bytes from `offset` on, over the seam but not over a gap. Returns how many.
size_t spool_read(struct spool *spool, int64_t offset, char *data, size_t max);

// Makes the file now, whose layout (head_bytes, ring_bytes) stays as it is from here on: where no more is to be had the
// log ends. For those who read it by spool_open. Returns 0 or a negative errno; -EOPNOTSUPP: nothing is kept at all;
// -EUSERS: its owner has too many that are no more, and still open.
int spool_share(struct spool *spool);
void spool_stop(struct spool *spool); // nothing more is stored: what comes is a gap
// A read-only descriptor of a shared log's file, or a negative errno.
int spool_open(const struct spool *spool);
// A read-only descriptor of what a sealed log keeps, one range after another: *ret_count extents [start, end).
// What must be copied for it goes to `host`, on the account of `share` (or NULL), until nobody has it open. Or a negative
// errno; -EUSERS: as spool_share; -EDQUOT, -ENOSPC: there is no room for a copy; -EFBIG: it is larger than SPOOL_COPY_MAX.
enum { SPOOL_COPY_MAX = 16 * 1024 * 1024 };
int spool_export(struct spool *spool, struct spool_host *host, struct share *share, int64_t extents[2][2],
                 int *ret_count);

// Nothing more will come: what it did not use is given back.
void spool_seal(struct spool *spool);
// A sealed log that is short leaves its file for memory.
void spool_shrink(struct spool *spool);
// What the log takes now, in bytes.
int64_t spool_taken(const struct spool *spool);
