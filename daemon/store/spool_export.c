// Logs as descriptors.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "common/util.h"
#include "daemon/store/spool_host.h"

void spool_stop(struct spool *s) {
    s->limit_bytes = s->stored;
}

int spool_open(const struct spool *s) {
    return s->file ? spool_host_open(s->host, s->file, O_RDONLY) : -ENOENT;
}

// What is kept as a file of its own, in order. Returns its descriptor, written and still writable.
static int spool_extract(struct spool *s, int64_t extents[2][2], int count) {
    _cleanup_close_ int fd = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
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
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int spool_export_file(struct spool *s) {
    int r = s->shared ? 0 : spool_host_may_share(s->host, s->share);
    if (r < 0)
        return r;
    s->shared = true;
    return spool_host_open(s->host, s->file, O_RDONLY);
}

int spool_export(struct spool *s, int64_t extents[2][2], int *ret_count) {
    int count = 0;
    int64_t kept = 0;
    for (int64_t at = spool_skip_gap(s, 0); at < s->total; at = spool_skip_gap(s, extents[count++][1])) {
        int64_t end = spool_gap_after(s, at);
        extents[count][0] = at;
        extents[count][1] = end;
        kept += end - at;
    }
    *ret_count = count;
    if ((s->map || s->path) && count == 1 && extents[0][0] == 0) // head and first lap of the ring: places are offsets
        return s->path ? open(s->path, O_RDONLY | O_CLOEXEC) : spool_export_file(s);
    if (kept > SPOOL_COPY_MAX)
        return -EFBIG;
    _cleanup_close_ int fd = spool_extract(s, extents, count);
    if (fd < 0)
        return fd;
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    return reader < 0 ? -errno : reader;
}
