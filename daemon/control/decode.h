// decode: checked params into a spec.
#pragma once

#include <jansson.h>

#include "daemon/control/call.h"
#include "daemon/core/spec.h"

// Fills `ret_spec` (the caller's to spec_done) from params that passed their check and have no nulls but
// in env. `lease`: the method's default. Returns 0, -EINVAL with the refusal filled where fields do not go together, or -ENOMEM.
int decode_spec(const json_t *params, bool lease, struct refusal *refusal, struct spec *ret_spec);
// The labels of params. Returns 0 or -ENOMEM.
int decode_labels(const json_t *params, struct spec_pair **ret_labels, size_t *ret_count);
