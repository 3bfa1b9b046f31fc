// A queue of bytes in one allocation.
#include "common/buffer.h"

#include "common/util.h"

enum { BUFFER_KEEP = 8192 }; // an idle buffer holds at most this much

void buffer_done(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

int buffer_reserve(struct buffer *buffer, size_t size) {
    if (buffer->capacity - buffer->end >= size)
        return 0;
    size_t used = buffer_size(buffer);
    if (buffer->start > 0 && buffer->capacity - used >= size && buffer->start >= used) {
        memcpy(buffer->data, buffer->data + buffer->start, used);
        buffer->start = 0;
        buffer->end = used;
        return 0;
    }
    if (size > SIZE_MAX / 2 - used)
        return -ENOMEM;
    size_t capacity = MAX(MAX(used + size, buffer->capacity * 2), (size_t)1024);
    char *data = malloc(capacity);
    if (!data)
        return -ENOMEM;
    if (used)
        memcpy(data, buffer_head(buffer), used);
    free(buffer->data);
    *buffer = (struct buffer){.data = data, .end = used, .capacity = capacity};
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size) {
    int r = buffer_reserve(buffer, size);
    if (r < 0)
        return r;
    if (size)
        memcpy(buffer->data + buffer->end, data, size);
    buffer->end += size;
    return 0;
}

int buffer_move(struct buffer *buffer, struct buffer *from) {
    if (buffer_size(buffer) > 0) {
        int r = buffer_append(buffer, buffer_head(from), buffer_size(from));
        if (r < 0)
            return r;
    } else {
        struct buffer emptied = *buffer;
        *buffer = *from;
        *from = emptied;
    }
    buffer_done(from);
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t size) {
    buffer->start += size;
    if (buffer->start < buffer->end)
        return;
    buffer->start = buffer->end = 0;
    if (buffer->capacity > BUFFER_KEEP)
        buffer_done(buffer);
}
