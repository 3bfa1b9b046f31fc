// Logs as descriptors.
#include <fcntl.h>

#include "common/util.h"
#include "daemon/store/spool_host.h"

enum { PAGE = 4096 }; // as what stands in memory takes it

void spool_stop(struct spool *s) {
    s->limit_bytes = s->stored;
}

int spool_open(const struct spool *s) {
    return s->file ? spool_host_open(s->host, s->file, O_RDONLY) : -ENOENT;
}

static int spool_write(struct spool *s, int fd, int64_t extents[2][2], int count) {
    for (int i = 0; i < count; i++)
        for (int64_t at = extents[i][0]; at < extents[i][1];) {
            const char *data;
            char piece[SPOOL_PIECE];
            size_t n = MIN(spool_peek(s, at, piece, &data), (size_t)(extents[i][1] - at));
            ssize_t written = n > 0 ? write(fd, data, n) : -1;
            if (written < 0)
                return n > 0 ? -errno : -EIO;
            at += written;
        }
    return 0;
}

// What is kept as a file of its own, in order, which is there for as long as somebody has it open: see lingering.
static int spool_extract(struct spool *s, struct spool_host *host, struct share *share, int64_t extents[2][2],
                         int count) {
    uint64_t file;
    int64_t kept = 0;
    for (int i = 0; i < count; i++)
        kept += extents[i][1] - extents[i][0];
    if (kept > SPOOL_COPY_MAX)
        return -EFBIG;
    kept = (kept + PAGE - 1) / PAGE * PAGE;
    int r = spool_host_may_share(host, share);
    if (r == 0)
        r = spool_host_reserve(host, share, kept);
    if (r == -EDQUOT && spool_host_look(host, share)) // who asks is told what is so now
        r = spool_host_reserve(host, share, kept);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = spool_host_create(host, &file);
    r = fd < 0 ? fd : spool_write(s, fd, extents, count);
    int reader = r < 0 ? r : spool_host_open(host, file, O_RDONLY);
    if (fd >= 0 && reader < 0)
        spool_host_remove(host, file);
    if (reader < 0 || !spool_host_linger(host, file, share, kept))
        spool_host_account(host, share, -kept);
    return reader;
}

static int spool_export_file(struct spool *s) {
    int r = s->shared ? 0 : spool_host_may_share(s->host, s->share);
    if (r < 0)
        return r;
    s->shared = true;
    return spool_host_open(s->host, s->file, O_RDONLY);
}

static int file_open(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int spool_export(struct spool *s, struct spool_host *host, struct share *share, int64_t extents[2][2], int *ret_count) {
    int count = 0;
    for (int64_t at = spool_skip_gap(s, 0); at < s->total; at = spool_skip_gap(s, extents[count++][1])) {
        extents[count][0] = at;
        extents[count][1] = spool_gap_after(s, at);
    }
    *ret_count = count;
    if (count == 0)
        return file_open("/dev/null");
    if ((s->map || s->path) && count == 1 && extents[0][0] == 0) // head and first lap of the ring: places are offsets
        return s->path ? file_open(s->path) : spool_export_file(s);
    return spool_extract(s, host, share, extents, count);
}
