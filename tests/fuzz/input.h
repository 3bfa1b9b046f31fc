// input: the bytes that a target is given, taken piece by piece; behind their end there are zeros.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
    const uint8_t *at;
    size_t size;
};

static inline uint8_t input_byte(struct input *in) {
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->at++;
}

// At most `max` of what is left.
static inline const uint8_t *input_piece(struct input *in, size_t max, size_t *ret_size) {
    const uint8_t *piece = in->at;
    *ret_size = max < in->size ? max : in->size;
    in->at += *ret_size;
    in->size -= *ret_size;
    return piece;
}

static inline int64_t input_number(struct input *in) {
    int64_t number = 0;
    size_t size;
    const uint8_t *piece = input_piece(in, sizeof(number), &size);
    memcpy(&number, piece, size);
    return number;
}
