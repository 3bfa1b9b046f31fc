// fuzz_line: any bytes as a line of a client: parsing, requests, the check against the table, and decoding of specs.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "common/schema.h"
#include "daemon/control/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_request(const json_t *value) {
    struct request request;
    struct schema_error error;
    message_request(value, &request);
    const struct proto_method *method = request.error || !request.method ? NULL : proto_method_find(request.method);
    if (!method)
        return;
    json_t *params = request.params ? json_deep_copy(request.params) : json_object();
    if (schema_check_params(method, params, &error) == 0) {
        schema_drop_nulls(method, params);
        struct refusal refusal = {0};
        struct spec spec;
        if (method->spec) {
            decode_spec(params, true, &refusal, &spec);
            spec_done(&spec); // also of what was refused half-way
        }
    } else if (!error.field[0] && !error.why[0]) {
        abort(); // a refusal says why
    }
    json_decref(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *value = NULL;
    char why[200];
    if (message_parse((const char *)data, size, &value, why) != 0)
        return 0;
    size_t i;
    json_t *member;
    if (json_is_array(value)) {
        json_array_foreach(value, i, member) {
            fuzz_request(member);
        }
    } else {
        fuzz_request(value);
    }
    // What was taken can be sent again, and is one line.
    struct buffer line = {0};
    if (message_append(&line, value) < 0 || memchr(buffer_head(&line), '\n', buffer_size(&line) - 1))
        abort();
    buffer_done(&line);
    json_decref(value);
    return 0;
}
