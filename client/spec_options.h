// spec_options: the options of run and start that mirror the fields of a job's spec, from the protocol's table.
#pragma once

#include <jansson.h>

#include "client/arguments.h"

enum { SPEC_OPTIONS_FIRST = 10000 }; // ids from here on

// The table of options, made at the first call and kept. NULL when memory is out.
const struct argument *spec_options(void);

// Sets the field of option `id` in `spec` from a word of the command line. Returns 0, or -1 with `why` filled.
int spec_options_set(json_t *spec, int id, const char *value, char why[512]);

// A word as the protocol has it: a string, or an object with base64 where it is not UTF-8. NULL when memory is out.
json_t *spec_options_bytes(const char *word);
