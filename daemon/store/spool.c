// Head and ring of one stream, in a mapped file.
#include "daemon/store/spool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/store/spool_host.h"

enum {
    SPOOL_SCRATCH = 65536, // bytes that are not to be stored are read here
    SPOOL_FIRST = 4096,    // allocated at the first byte; then at least SPOOL_STEP, doubling
    SPOOL_STEP = 65536,
    SPOOL_SMALL = 4096, // a sealed log up to this size leaves its file for memory
};

void spool_init(struct spool *s, struct spool_host *host, int64_t head, int64_t tail, int64_t limit) {
    *s = (struct spool){.host = host, .head_bytes = head, .tail_bytes = tail, .ring_bytes = tail, .limit_bytes = limit};
}

static void spool_account(struct spool *s, int64_t bytes) {
    spool_host_account(s->host, s->share, bytes);
}

static void spool_drop_file(struct spool *s) {
    if (s->map)
        munmap(s->map, s->map_size);
    bool lingers = s->file && s->shared && spool_host_linger(s->host, s->file, s->share, (int64_t)s->allocated);
    if (s->file && !s->shared)
        spool_host_remove(s->host, s->file);
    if (!lingers)
        spool_account(s, -(int64_t)s->allocated);
    s->map = NULL;
    s->allocated = 0;
    s->file = 0;
}

void spool_done(struct spool *s) {
    if (s->host)
        spool_drop_file(s);
    if (s->small && s->host)
        spool_account(s, -s->stored);
    free(s->small);
    free(s->path);
    s->small = s->path = s->map = NULL;
}

// How much of its file a log uses.
static size_t used_bytes(const struct spool *s) {
    return (size_t)MIN(s->stored, s->head_bytes + s->ring_bytes);
}

static void spool_lose(struct spool *s) {
    s->head_bytes = s->tail_bytes = s->ring_bytes = 0;
    s->file = 0;
}

static void spool_stand(struct spool *s, const char *path) {
    struct stat st = {0};
    s->path = strdup(path);
    if (!s->path)
        spool_lose(s);
    else
        s->is_unreadable = lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)used_bytes(s) ||
                           st.st_size == 0;
}

void spool_load(struct spool *s, char *data, size_t size, const char *path) {
    s->sealed = true;
    if (path) {
        free(data);
        spool_stand(s, path);
    } else if (data && size >= used_bytes(s)) {
        s->small = data;
    } else {
        free(data);
        spool_lose(s);
    }
}

size_t spool_image(const struct spool *s, const char **ret_data, char **ret_path) {
    *ret_data = s->small ? s->small : s->map;
    *ret_path = s->path ? strdup(s->path) : s->map && s->file ? spool_host_file(s->host, s->file) : NULL;
    return *ret_data || s->path ? used_bytes(s) : 0;
}

void spool_move(struct spool *s, const char *path) {
    if (!s->map || s->path)
        return;
    spool_drop_file(s);
    spool_stand(s, path);
}

void spool_resume(struct spool *s, struct spool_host *host) {
    s->host = host;
    s->map = s->small = s->path = NULL;
    s->allocated = s->map_size = 0;
    s->is_unreadable = false;
    if (s->file == 0)
        return;
    struct stat st = {0};
    _cleanup_close_ int fd = spool_host_open(host, s->file, O_RDWR);
    char *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        spool_lose(s);
        return;
    }
    s->map = map;
    s->map_size = (size_t)st.st_size;
    s->allocated = MIN((size_t)st.st_blocks * 512, s->map_size);
    spool_account(s, (int64_t)s->allocated);
    spool_host_claim(host, s->file);
}

void spool_forget_file(struct spool *s) {
    spool_drop_file(s);
}

void spool_widen(struct spool *s, int64_t bytes) {
    if (s->total == 0)
        s->ring_bytes = MAX(s->ring_bytes, bytes);
}

static int64_t place(const struct spool *s, int64_t offset) {
    if (offset >= s->head_bytes && s->ring_bytes == 0)
        return offset;
    return offset < s->head_bytes ? offset : s->head_bytes + (offset - s->head_bytes) % s->ring_bytes;
}

// Nothing more is to be had: what is allocated is all there will be. In the first lap places are offsets, so
// head and ring can end here; later everything is allocated already.
static void spool_freeze(struct spool *s) {
    int64_t have = (int64_t)s->allocated;
    if (s->shared) {
        s->limit_bytes = have;
        return;
    }
    s->head_bytes = MIN(s->head_bytes, have);
    s->ring_bytes = MAX(have - s->head_bytes, 0);
    s->tail_bytes = MIN(s->tail_bytes, s->ring_bytes);
}

// On tmpfs a signal that comes meanwhile gives all of it up (fallocate(2), EINTR; Linux before 6.10), and the end of a job
// is one: once more without signals, as there may be one after another.
static int allocate(int fd, size_t from, size_t to) {
    sigset_t all, before;
    int r = -posix_fallocate(fd, (off_t)from, (off_t)(to - from));
    if (r != -EINTR)
        return r;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -posix_fallocate(fd, (off_t)from, (off_t)(to - from));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

// Allocates so that `end` bytes of the file can be written. Returns 0 or a negative errno.
static int spool_grow(struct spool *s, int fd, size_t end) {
    size_t want = MAX(end, s->allocated == 0 ? SPOOL_FIRST : MAX((size_t)SPOOL_STEP, s->allocated * 2));
    want = MIN(want, s->map_size);
    int r = spool_host_reserve(s->host, s->share, (int64_t)(want - s->allocated));
    if (r < 0)
        return r;
    r = allocate(fd, s->allocated, want);
    if (r < 0) {
        spool_account(s, -(int64_t)(want - s->allocated));
        return r;
    }
    s->allocated = want;
    return 0;
}

static int spool_allocate(struct spool *s, size_t end) {
    _cleanup_close_ int fd = spool_host_open(s->host, s->file, O_RDWR);
    return fd < 0 ? fd : spool_grow(s, fd, end);
}

// Makes the log's file with its first piece, which lies in the scratch place.
static int spool_create(struct spool *s, size_t piece) {
    size_t size = (size_t)(s->head_bytes + s->ring_bytes);
    if (s->limit_bytes >= 0)
        size = MIN(size, (size_t)s->limit_bytes);
    uint64_t file;
    _cleanup_close_ int fd = spool_host_create(s->host, &file);
    if (fd < 0)
        return fd;
    char *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0)
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        int r = -errno;
        spool_host_remove(s->host, file);
        return r;
    }
    s->map = map;
    s->map_size = size;
    s->file = file;
    int r = spool_grow(s, fd, piece);
    if (r == 0)
        memcpy(s->map, spool_host_scratch(s->host), piece);
    return r;
}

// Bytes that can be written at spool->stored without a seam, before `hold` would be dropped. 0: held back.
static int64_t spool_space(const struct spool *s, int64_t hold) {
    if (s->stored < s->head_bytes)
        return s->head_bytes - s->stored;
    int64_t seam = s->ring_bytes - (s->stored - s->head_bytes) % s->ring_bytes;
    if (hold == INT64_MAX)
        return seam;
    return MIN(seam, MAX(hold, s->head_bytes) + s->ring_bytes - s->stored);
}

// Whether what comes next is to be stored at all.
static bool spool_wants(const struct spool *s) {
    bool past_limit = s->limit_bytes >= 0 && s->stored >= s->limit_bytes;
    bool no_place = s->stored >= s->head_bytes && s->ring_bytes == 0;
    return s->stored == s->total && !past_limit && !no_place;
}

char *spool_room(struct spool *s, size_t max, int64_t hold, size_t *ret_room) {
    if (!spool_wants(s)) {
        *ret_room = MIN(max, (size_t)SPOOL_SCRATCH);
        return spool_host_scratch(s->host);
    }
    int64_t room = MIN(spool_space(s, hold), (int64_t)max);
    if (s->limit_bytes >= 0)
        room = MIN(room, s->limit_bytes - s->stored);
    // The first piece comes by the scratch place: a stream that stays empty has no file.
    if (room <= 0 || !s->map) {
        *ret_room = (size_t)MAX(MIN(room, SPOOL_FIRST), 0);
        return spool_host_scratch(s->host);
    }
    int64_t at = place(s, s->stored);
    if (at >= (int64_t)s->allocated && spool_allocate(s, (size_t)at + 1) < 0) {
        spool_freeze(s);
        return spool_room(s, max, hold, ret_room); // once more with what there is
    }
    *ret_room = (size_t)MIN(room, (int64_t)s->allocated - at);
    return s->map + at;
}

char *spool_place(const struct spool *s) {
    return s->map ? s->map + place(s, s->stored) : NULL;
}

int spool_share(struct spool *s) {
    if (s->head_bytes + s->ring_bytes == 0 || s->sealed || (!s->map && s->total > 0))
        return -EOPNOTSUPP;
    int r = s->shared ? 0 : spool_host_may_share(s->host, s->share);
    if (r == 0 && !s->map)
        r = spool_create(s, 0);
    s->shared |= r == 0;
    return r;
}

static int spool_begin(struct spool *s, size_t size) {
    int r = spool_create(s, size);
    if (r < 0)
        spool_freeze(s);
    return r;
}

void spool_commit(struct spool *s, size_t size) {
    bool kept = spool_wants(s) && (s->map || spool_begin(s, size) == 0);
    s->total += (int64_t)size;
    if (kept)
        s->stored += (int64_t)size;
    spool_host_count(s->host, (int64_t)size);
    if (s->share)
        s->share->ever += (int64_t)size;
}

int spool_gaps(const struct spool *s, int64_t gaps[2][2]) {
    int n = 0;
    if (s->is_unreadable) {
        gaps[0][0] = 0;
        gaps[0][1] = s->total;
        return s->total > 0;
    }
    int64_t end = MAX(s->stored - s->tail_bytes, s->head_bytes);
    if (s->stored > s->head_bytes && end > s->head_bytes) {
        gaps[n][0] = s->head_bytes;
        gaps[n++][1] = end;
    }
    if (s->total > s->stored) {
        // Two gaps that touch are one.
        if (n == 1 && gaps[0][1] == s->stored) {
            gaps[0][1] = s->total;
        } else {
            gaps[n][0] = s->stored;
            gaps[n++][1] = s->total;
        }
    }
    return n;
}

// While it is written the ring may hold more than the budget, for a follower; in the end the budget counts.
static int64_t ring_start(const struct spool *s) {
    return MAX(s->stored - (s->sealed ? s->tail_bytes : s->ring_bytes), s->head_bytes);
}

int64_t spool_skip_gap(const struct spool *s, int64_t offset) {
    if (offset >= s->stored || s->is_unreadable)
        return s->total;
    if (offset >= s->head_bytes && offset < ring_start(s))
        offset = ring_start(s);
    return offset >= s->stored ? s->total : offset;
}

int64_t spool_gap_after(const struct spool *s, int64_t offset) {
    bool before_ring = offset < s->head_bytes && ring_start(s) > s->head_bytes;
    return before_ring ? MIN(s->head_bytes, s->stored) : s->stored;
}

// How many bytes lie together from the offset on, and where in the file; 0 in a gap or at the end.
static size_t spool_extent(const struct spool *s, int64_t offset, int64_t *ret_place) {
    if (offset < 0 || offset >= s->stored || s->is_unreadable || (offset >= s->head_bytes && offset < ring_start(s)))
        return 0;
    int64_t at = place(s, offset), end = s->stored;
    if (offset < s->head_bytes)
        end = MIN(end, s->head_bytes);
    else
        end = MIN(end, offset + s->head_bytes + s->ring_bytes - at);
    *ret_place = at;
    return (size_t)(end - offset);
}

static size_t spool_copy(const struct spool *s, int fd, int64_t at, char *data, size_t size) {
    const char *image = s->small ? s->small : s->map;
    ssize_t n = 0;
    if (image)
        memcpy(data, image + at, size);
    else
        n = pread(fd, data, size, (off_t)at);
    return image ? size : (size_t)MAX(n, 0);
}

static int spool_file(const struct spool *s) {
    return s->path ? open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
}

size_t spool_read(struct spool *s, int64_t offset, char *data, size_t max) {
    _cleanup_close_ int fd = spool_file(s);
    size_t done = 0, n = 1;
    s->is_refused = s->path && fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
    while (done < max && n > 0) {
        int64_t at;
        size_t together = MIN(spool_extent(s, offset + (int64_t)done, &at), max - done);
        n = together > 0 ? spool_copy(s, fd, at, data + done, together) : 0;
        s->is_unreadable |= n == 0 && together > 0 && !s->is_refused;
        done += n;
    }
    return done;
}

size_t spool_peek(struct spool *s, int64_t offset, char piece[SPOOL_PIECE], const char **ret_data) {
    const char *image = s->small ? s->small : s->map;
    int64_t at;
    size_t together = spool_extent(s, offset, &at);
    *ret_data = image ? image + at : piece;
    return image || together == 0 ? together : spool_read(s, offset, piece, MIN(together, (size_t)SPOOL_PIECE));
}

void spool_seal(struct spool *s) {
    s->sealed = true;
    size_t used = used_bytes(s);
    if (!s->map || s->path || used >= s->allocated)
        return;
    _cleanup_close_ int fd = spool_host_open(s->host, s->file, O_RDWR);
    if (fd < 0 || ftruncate(fd, (off_t)used) < 0)
        return;
    spool_account(s, -(int64_t)(s->allocated - used));
    s->allocated = used;
}

void spool_shrink(struct spool *s) {
    if (!s->map || s->path || s->stored > SPOOL_SMALL || s->stored > s->head_bytes)
        return;
    char *small = malloc((size_t)s->stored + 1);
    if (!small)
        return; // it stays where it is
    memcpy(small, s->map, (size_t)s->stored);
    spool_drop_file(s);
    s->small = small;
    spool_account(s, s->stored);
}

int64_t spool_taken(const struct spool *s) {
    return s->small ? s->stored : (int64_t)s->allocated;
}
