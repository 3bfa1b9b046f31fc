// parse: JSON text into a value, whole or not at all.
//
// jansson 2.14 takes no notice where its buffer for a string does not grow: it goes on with what it has, and reads and writes
// behind it, or takes a string for whole that lacks a byte. So the first allocation that fails in a parse is not the last:
// from there on all fail, which it does take notice of before it looks at the string.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// As json_loadb(3). `ret_is_out`: whether it came to nothing for want of memory; NULL: nobody asks. One thread at a time.
json_t *parse_json(const char *text, size_t size, size_t flags, json_error_t *error, bool *ret_is_out);
