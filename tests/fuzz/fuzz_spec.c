// fuzz_spec: any bytes as the params of a method, as their check and decoding see them; and as the spec of a job that was
// kept, which nobody checks again.
//
// Of the input, the first byte says which method, or that it was kept.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema.h"
#include "common/util.h"
#include "daemon/control/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t method_count(void) {
    size_t n = 0;
    while (proto_methods[n].name)
        n++;
    return n;
}

// What a spec may hold once it was checked, in terms of the rest of the daemon.
static void check_spec(const struct spec *spec) {
    if (spec->argc < 1 || !spec->argv[0] || spec->argv[spec->argc] || spec->grace < 0 || spec->head_bytes < 0 ||
        spec->tail_bytes < 0 || spec->limit_bytes < -1 || spec->stop_signal <= 0 || spec->umask > 0777)
        abort();
}

static void decode(const json_t *params, bool is_checked) {
    struct refusal refusal = {0};
    struct spec spec;
    int r = decode_spec(params, true, &refusal, &spec);
    if (r == -EINVAL && (!refusal.field[0] || !refusal.why[0]))
        abort();
    if (r == 0 && is_checked)
        check_spec(&spec);
    spec_done(&spec); // also of what was refused half-way
}

static void check(const struct proto_method *method, json_t *params) {
    struct schema_error error = {0};
    if (schema_check_params(method, params, &error) < 0) {
        if ((!error.field[0] && !error.why[0]) ||
            (error.code != PROTO_INVALID_PARAMS && error.code != PROTO_UNSUPPORTED))
            abort();
        return;
    }
    schema_drop_nulls(method, params);
    if (schema_check_params(method, params, &error) < 0)
        abort(); // a null is as if absent
    if (method->spec)
        decode(params, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    size_t which = data[0] % (method_count() + 1);
    json_t *params = json_loadb((const char *)data + 1, size - 1, JSON_ALLOW_NUL, NULL);
    if (json_is_object(params) && which < method_count())
        check(&proto_methods[which], params);
    else if (params)
        decode(params, false);
    json_decref(params);
    return 0;
}
