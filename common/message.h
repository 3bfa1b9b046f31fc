// message: JSON-RPC 2.0 messages, one a line: reading requests, writing answers.
#pragma once

#include <jansson.h>

#include "common/buffer.h"
#include "common/proto.h"

// One request of a line. Borrowed from the parsed line.
struct request {
    json_t *id; // NULL: a notification
    const char *method;
    json_t *params;  // an object, or NULL
    int error;       // 0, or the code with which it is to be refused (id NULL then means id null)
    const char *why; // with error
};

// Parses one line (without its newline). Returns 0 and a value to json_decref, or the error code of the line
// (PROTO_PARSE_ERROR, PROTO_INVALID_REQUEST, PROTO_INTERNAL_ERROR), with `why` (at least 200 bytes) saying what is wrong.
int message_parse(const char *line, size_t size, json_t **ret_value, char why[200]);

// Whether it is a batch, if it is JSON. Costs next to nothing.
bool message_is_batch(const char *line, size_t size);

// Reads one request from a parsed value (not an array). The request's id is refused unless it is a string, a number or null.
void message_request(const json_t *value, struct request *ret_request);

// Answers, ready to be sent but for the newline. `id` is borrowed; NULL becomes null. Results and data are taken over.
// All return NULL when memory is out.
json_t *message_result(json_t *id, json_t *result);
json_t *message_error(json_t *id, int code, const char *what, json_t *data);
json_t *message_notification(const char *method, json_t *params);

// Both append the value as text, the second as one line. They return 0, or -ENOMEM with the buffer as it was.
int message_append_text(struct buffer *buffer, const json_t *value);
int message_append(struct buffer *buffer, const json_t *value);
