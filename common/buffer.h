// buffer: bytes that are appended at the end and consumed from the front.
#pragma once

#include <stddef.h>

struct buffer {
    char *data;      // owned
    size_t start;    // of what is left
    size_t end;      // of what was appended
    size_t capacity; // allocated
};

void buffer_done(struct buffer *buffer);
static inline size_t buffer_size(const struct buffer *buffer) {
    return buffer->end - buffer->start;
}
static inline char *buffer_head(const struct buffer *buffer) {
    return buffer->data ? buffer->data + buffer->start : NULL; // to add to NULL, be it nothing, is undefined
}

// Room for `size` more bytes at data + end. Returns 0 or -ENOMEM.
int buffer_reserve(struct buffer *buffer, size_t size);
int buffer_append(struct buffer *buffer, const void *data, size_t size);
// Moves all of `from` to the end, or leaves both as they were. Returns 0 or -ENOMEM.
int buffer_move(struct buffer *buffer, struct buffer *from);
// Drops `size` bytes from the front. An emptied buffer larger than a page or so gives its memory back.
void buffer_consume(struct buffer *buffer, size_t size);
