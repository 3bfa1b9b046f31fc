// Bytes as JSON. UTF-8 is judged by jansson, which refuses a string that is not valid.
#include "common/bytes.h"

#include <nettle/base64.h>

#include "common/util.h"

static char *base64_decode(const char *text, size_t size, size_t *ret_size) {
    _cleanup_free_ char *data = malloc(BASE64_DECODE_LENGTH(size) + 1);
    if (!data)
        return NULL;
    struct base64_decode_ctx ctx;
    size_t done = 0;
    base64_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &done, (uint8_t *)data, size, text) || !base64_decode_final(&ctx))
        return NULL;
    data[done] = 0;
    *ret_size = done;
    return TAKE_PTR(data);
}

bool bytes_base64_valid(const char *text, size_t size) {
    size_t done;
    for (size_t i = 0; i < size; i++)
        if (strchr(" \t\r\n\v\f", text[i])) // nettle goes over them
            return false;
    _cleanup_free_ char *data = base64_decode(text, size, &done);
    return data != NULL;
}

char *bytes_from_json(const json_t *value, size_t *ret_size) {
    const json_t *text = json_is_object(value) ? json_object_get(value, "data") : value;
    const char *encoding = json_is_object(value) ? json_string_value(json_object_get(value, "encoding")) : NULL;
    size_t size = json_string_length(text); // 0 of what is no string
    if (encoding && streq(encoding, "base64"))
        return base64_decode(json_string_value(text), size, ret_size);
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, json_string_value(text), size);
    copy[size] = 0;
    *ret_size = size;
    return copy;
}

static json_t *base64_encode(const char *data, size_t size) {
    size_t length = BASE64_ENCODE_RAW_LENGTH(size);
    _cleanup_free_ char *text = malloc(length + 1);
    if (!text)
        return NULL;
    base64_encode_raw(text, size, (const uint8_t *)data);
    return json_stringn_nocheck(text, length);
}

int bytes_to_json(json_t *object, const char *data, size_t size, bool force_base64) {
    json_t *text = NULL;
    if (!force_base64 && (size == 0 || !memchr(data, 0, size)))
        text = json_stringn(size ? data : "", size);
    bool utf8 = text != NULL;
    if (!utf8)
        text = base64_encode(data, size);
    if (!text || json_object_set_new_nocheck(object, "data", text) < 0)
        return -ENOMEM;
    if (json_object_set_new_nocheck(object, "encoding", json_string_nocheck(utf8 ? "utf-8" : "base64")) < 0)
        return -ENOMEM;
    return 0;
}

// The length that a UTF-8 lead byte announces; 0 for a byte that leads nothing.
static size_t lead_length(unsigned char c) {
    return c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
}

size_t bytes_cut(const char *data, size_t size) {
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char c = (unsigned char)data[size - back];
        if ((c & 0xc0) == 0x80)
            continue;
        return lead_length(c) > back ? size - back : size;
    }
    return size;
}

size_t bytes_skip_continuation(const char *data, size_t size) {
    size_t n = 0;
    while (n < size && n < 3 && ((unsigned char)data[n] & 0xc0) == 0x80)
        n++;
    return n;
}
