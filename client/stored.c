// Mapped streams.
#include "client/stored.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"

static int stored_map(struct stored *stored, int stream, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size == 0 || !S_ISREG(st.st_mode))
        return 0;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    stored->maps[stream] = map;
    stored->sizes[stream] = (size_t)st.st_size;
    return 0;
}

int stored_open(struct stored *stored, const json_t *layout, struct ancillary *descriptors) {
    int r = descriptors->count > 0 && descriptors->count <= 2 ? 0 : -EBADMSG;
    *stored = (struct stored){
        .head_bytes = layout ? json_integer_value(json_object_get(layout, "head_bytes")) : INT64_MAX,
        .ring_bytes = json_integer_value(json_object_get(layout, "ring_bytes")),
    };
    for (int i = 0; i < descriptors->count && r == 0; i++)
        r = stored_map(stored, i, descriptors->fds[i]);
    ancillary_close(descriptors);
    if (r < 0)
        stored_close(stored);
    return r;
}

void stored_close(struct stored *stored) {
    for (int s = 0; s < 2; s++)
        if (stored->maps[s])
            munmap((void *)(uintptr_t)stored->maps[s], stored->sizes[s]);
    *stored = (struct stored){0};
}

bool stored_is_open(const struct stored *stored) {
    return stored->maps[0] || stored->maps[1];
}

size_t stored_read(const struct stored *stored, int stream, int64_t offset, int64_t end, const char **ret_bytes) {
    int64_t head = stored->head_bytes, ring = stored->ring_bytes, size = (int64_t)stored->sizes[stream];
    if (offset < 0 || offset >= end || (offset >= head && ring <= 0))
        return 0;
    int64_t place = offset < head ? offset : head + (offset - head) % ring;
    int64_t seam = offset < head ? head : head + ring;
    seam = MIN(seam, size);
    if (place >= seam)
        return 0;
    *ret_bytes = stored->maps[stream] + place;
    return (size_t)MIN(end - offset, seam - place);
}
