// JSON-RPC 2.0 messages over jansson.
#include "common/message.h"

#include <math.h>
#include <stdio.h>

#include "common/parse.h"
#include "common/util.h"

// From a string's opening quote to its closing one.
static size_t string_end(const char *line, size_t size, size_t i) {
    while (++i < size && line[i] != '"')
        i += line[i] == '\\';
    return i;
}

// Depth and values are counted before parsing, which makes hundreds of bytes of three: a hostile line costs one pass.
static bool message_fits(const char *line, size_t size, char why[200]) {
    int depth = 0, values = 1;
    for (size_t i = 0; i < size; i++) {
        char c = line[i];
        if (c == '"')
            i = string_end(line, size, i);
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        values += c == '[' || c == '{' || c == ',';
        if (depth > PROTO_DEPTH_MAX)
            snprintf(why, 200, "deeper than %d levels", PROTO_DEPTH_MAX);
        else if (values > PROTO_VALUES_MAX)
            snprintf(why, 200, "more than %d values in a line", PROTO_VALUES_MAX);
        else
            continue;
        return false;
    }
    return true;
}

// Makes a number that no double holds one that is held. Whether it is such a number, and where it ends, jansson says.
// Returns how many bytes are done with.
static size_t number_shrink(char *number, size_t flags) {
    static const char large[] = "1e308"; // no number that is too large is shorter
    size_t length = strspn(number, "0123456789+-.eE");
    json_error_t error = {0};
    json_t *value = NULL;
    if (length >= sizeof(large) - 1) // and not what comes behind the number: two of them are no JSON
        value = parse_json(number, length, flags | JSON_DISABLE_EOF_CHECK, &error, NULL);
    json_decref(value);
    if (!value && json_error_code(&error) == json_error_numeric_overflow) {
        size_t start = number[0] == '-', end = (size_t)MAX(error.position, 1);
        memset(number + start, ' ', end - start);
        memcpy(number + start, large, MIN(end - start, sizeof(large) - 1));
    }
    return length;
}

// Numbers that no double holds are JSON all the same. Each becomes one that is as much out of any range, so that
// the line reaches the check that names its field. However many they are, the line is parsed once more.
static json_t *message_parse_large(const char *line, size_t size, size_t flags, json_error_t *error) {
    _cleanup_free_ char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, line, size);
    copy[size] = 0;
    for (size_t i = 0; i < size; i++)
        if (copy[i] == '"')
            i = string_end(copy, size, i);
        else if (copy[i] == '-' || (copy[i] >= '0' && copy[i] <= '9'))
            i += number_shrink(copy + i, flags) - 1;
    return parse_json(copy, size, flags, error, NULL);
}

int message_parse(const char *line, size_t size, json_t **ret_value, char why[200]) {
    enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES };
    if (!message_fits(line, size, why))
        return PROTO_INVALID_REQUEST;
    json_error_t error = {0}; // out of memory is told by nothing but NULL
    bool is_out;
    json_t *value = parse_json(line, size, FLAGS, &error, &is_out);
    if (is_out) {
        snprintf(why, 200, "out of memory");
        return PROTO_INTERNAL_ERROR;
    }
    if (!value && json_error_code(&error) == json_error_numeric_overflow)
        value = message_parse_large(line, size, FLAGS | JSON_DECODE_INT_AS_REAL, &error);
    if (value) {
        *ret_value = value;
        return 0;
    }
    snprintf(why, 200, "%s (byte %d)", error.text, error.position);
    enum json_error_code code = json_error_code(&error);
    // All of these are JSON, but no request: two values of one name, a name with NUL, a number beyond all bounds.
    bool json = code == json_error_duplicate_key || code == json_error_null_byte_in_key ||
                code == json_error_numeric_overflow;
    return json ? PROTO_INVALID_REQUEST : PROTO_PARSE_ERROR;
}

static void request_refuse(struct request *request, int code, const char *why) {
    if (request->error)
        return;
    request->error = code;
    request->why = why;
}

bool message_is_batch(const char *line, size_t size) {
    while (size > 0 && strchr(" \t\r", *line) && *line) {
        line++;
        size--;
    }
    return size > 0 && *line == '[';
}

void message_request(const json_t *value, struct request *ret_request) {
    *ret_request = (struct request){0};
    if (!json_is_object(value)) {
        request_refuse(ret_request, PROTO_INVALID_REQUEST, "a request is an object");
        return;
    }
    json_t *id = json_object_get(value, "id");
    if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))
        request_refuse(ret_request, PROTO_INVALID_REQUEST, "id must be a string, a number or null");
    else
        ret_request->id = id;
    const json_t *version = json_object_get(value, "jsonrpc");
    if (!json_is_string(version) || !streq(json_string_value(version), "2.0"))
        request_refuse(ret_request, PROTO_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
    const json_t *method = json_object_get(value, "method");
    if (!json_is_string(method))
        request_refuse(ret_request, PROTO_INVALID_REQUEST, "method must be a string");
    else
        ret_request->method = strlen(json_string_value(method)) == json_string_length(method)
                                  ? json_string_value(method)
                                  : "";
    json_t *params = json_object_get(value, "params");
    if (json_is_array(params))
        request_refuse(ret_request, PROTO_INVALID_PARAMS, "are by name: an object");
    else if (params && !json_is_object(params))
        request_refuse(ret_request, PROTO_INVALID_REQUEST, "params must be an object");
    else
        ret_request->params = params;
}

static json_t *message_new(json_t *id, const char *key, json_t *value) {
    json_t *message = json_object();
    if (message && value && json_object_set_new_nocheck(message, "jsonrpc", json_string_nocheck("2.0")) == 0 &&
        json_object_set_nocheck(message, "id", id ? id : json_null()) == 0 &&
        json_object_set_new_nocheck(message, key, TAKE_PTR(value)) == 0)
        return message;
    json_decref(value);
    json_decref(message);
    return NULL;
}

json_t *message_result(json_t *id, json_t *result) {
    return message_new(id, "result", result);
}

json_t *message_error(json_t *id, int code, const char *what, json_t *data) {
    const struct proto_error *error = proto_error_find(code);
    if (!data)
        data = json_object();
    if (data && json_object_set_new(data, "name", json_string(error->name)) < 0) {
        json_decref(data);
        return NULL;
    }
    json_t *message = what && *what ? json_string(what) : NULL; // NULL too where a text was cut amid a character
    if (!message)
        message = json_string(error->doc);
    if (!message) {
        json_decref(data);
        return NULL;
    }
    return message_new(id, "error", json_pack("{s:i,s:o,s:o}", "code", error->code, "message", message, "data", data));
}

json_t *message_notification(const char *method, json_t *params) {
    return json_pack("{s:s,s:s,s:o}", "jsonrpc", "2.0", "method", method, "params", params);
}

struct dump {
    struct buffer *buffer;
    int result; // the first failure: jansson goes on after some
};

static int message_dump(const char *data, size_t size, void *arg) {
    struct dump *dump = arg;
    if (dump->result == 0)
        dump->result = buffer_append(dump->buffer, data, size);
    return dump->result;
}

int message_append_text(struct buffer *buffer, const json_t *value) {
    struct dump dump = {.buffer = buffer};
    size_t before = buffer_size(buffer);
    // 16 digits: an instant of 10 digits keeps its microseconds, and 0.1 stays 0.1.
    int r = json_dump_callback(value, message_dump, &dump, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(16));
    if (r == 0 && dump.result == 0)
        return 0;
    buffer->end = buffer->start + before; // half of it must not go out
    return -ENOMEM;
}

int message_append(struct buffer *buffer, const json_t *value) {
    size_t before = buffer_size(buffer);
    if (message_append_text(buffer, value) == 0 && buffer_append(buffer, "\n", 1) == 0)
        return 0;
    buffer->end = buffer->start + before;
    return -ENOMEM;
}
