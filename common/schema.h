// schema: checks JSON values against the protocol's types. Pure but for jansson.
#pragma once

#include "common/proto.h"

struct schema_error {
    int code;        // PROTO_INVALID_PARAMS or PROTO_UNSUPPORTED
    char field[160]; // path of the value, such as limits.memory_bytes, argv[1], env.PATH
    char why[256];
};

// Checks the params of a method: every field known, well typed, in range; required ones there; a null is
// as if absent. Target params: exactly one of id, name (and ids), but for job.forget with final.
// Returns 0, or -EINVAL with `error` filled.
int schema_check_params(const struct proto_method *method, const json_t *params, struct schema_error *error);

// Checks a value that supd sends: every field that is not optional is there. For tests and clients.
int schema_check_result(const struct proto_type *type, const json_t *value, struct schema_error *error);

// Removes members of params that are null, recursively where the table says objects, so that decoders
// see absence only. Values of maps (env) keep theirs.
void schema_drop_nulls(const struct proto_method *method, json_t *params);
