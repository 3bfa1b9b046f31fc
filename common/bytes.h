// bytes: arbitrary bytes as JSON and back: {"data", "encoding"} with utf-8 where it can be, else base64.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// Whether `text` is canonical base64 (RFC 4648, padded, no line breaks).
bool bytes_base64_valid(const char *text, size_t size);

// The bytes of a checked value: a string as it is, or an object {data, encoding}. A new allocation with a
// NUL behind its `*ret_size` bytes, or NULL when memory is out or the base64 is wrong.
char *bytes_from_json(const json_t *value, size_t *ret_size);

// Adds "data" and "encoding" for the bytes to `object`. utf-8 exactly when they are valid UTF-8 without
// NUL and `force_base64` is not set. Returns 0 or -ENOMEM.
int bytes_to_json(json_t *object, const char *data, size_t size, bool force_base64);

// How many of the first `size` bytes to send as one piece so that no UTF-8 character is cut, given that more
// may follow: `size` itself where the bytes end between characters or are not UTF-8 at all; 0 where they are no more than
// the start of one character.
size_t bytes_cut(const char *data, size_t size);

// How many bytes at the start of `data` are the rest of a character that began before it (0 to 3).
size_t bytes_skip_continuation(const char *data, size_t size);
