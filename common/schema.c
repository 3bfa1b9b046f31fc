// Checking values against types: one recursive walk, one path that says where it stands.
#include "common/schema.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/util.h"

struct walk {
    struct schema_error *error;
    bool result; // checking what supd sends, not what it is sent
    char path[160];
    size_t length;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct walk *w, int code, const char *format, ...) {
    va_list args;
    w->error->code = code;
    memcpy(w->error->field, w->path, w->length);
    w->error->field[bytes_cut(w->path, w->length)] = 0; // the path may have been cut, but not amid a character
    va_start(args, format);
    vsnprintf(w->error->why, sizeof(w->error->why), format, args);
    va_end(args);
    return -EINVAL;
}

// Makes the path longer for one step; the returned length puts it back.
__attribute__((format(printf, 2, 3))) static size_t step(struct walk *w, const char *format, ...) {
    size_t before = w->length;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->path + w->length, sizeof(w->path) - w->length, format, args);
    va_end(args);
    w->length = MIN(w->length + (size_t)MAX(n, 0), sizeof(w->path) - 1);
    return before;
}

static size_t step_name(struct walk *w, const char *name) {
    return step(w, "%s%s", w->length ? "." : "", name);
}

static int check_value(struct walk *w, const struct proto_type *type, const json_t *value);

static int check_number(struct walk *w, const struct proto_type *type, const json_t *value) {
    if (!json_is_number(value))
        return refuse(w, PROTO_INVALID_PARAMS, type->kind == PK_INT ? "must be an integer" : "must be a number");
    double x = json_number_value(value);
    if (type->kind == PK_INT && (!isfinite(x) || x != floor(x)))
        return refuse(w, PROTO_INVALID_PARAMS, "must be an integer");
    // 2^63-1 is no double: a real of 2^63 would pass as equal to it, so reals stop below.
    bool over = x > type->max || (json_is_real(value) && type->kind == PK_INT && x >= 9223372036854775807.0);
    if (over || x < type->min || (type->above && x <= type->min)) {
        if (type->max >= 9e18)
            return refuse(w, PROTO_INVALID_PARAMS, "must be from %.0f to 9223372036854775807", type->min);
        return refuse(w, PROTO_INVALID_PARAMS,
                      type->above ? "must be above %.0f and at most %.0f" : "must be from %.0f to %.0f", type->min,
                      type->max);
    }
    return 0;
}

static int check_string(struct walk *w, const struct proto_type *type, const json_t *value) {
    if (!json_is_string(value))
        return refuse(w, PROTO_INVALID_PARAMS, "must be a string");
    size_t length = json_string_length(value);
    if (!type->nul && memchr(json_string_value(value), 0, length))
        return refuse(w, PROTO_INVALID_PARAMS, "holds a NUL byte");
    if ((double)length < type->min || (double)length > type->max)
        return refuse(w, PROTO_INVALID_PARAMS, "must be %.0f to %.0f bytes long", type->min, type->max);
    return 0;
}

static bool among(const char *const *values, const char *word) {
    for (; values && *values; values++)
        if (streq(*values, word))
            return true;
    return false;
}

static int check_enum(struct walk *w, const struct proto_type *type, const json_t *value) {
    if (!json_is_string(value))
        return refuse(w, PROTO_INVALID_PARAMS, "must be a string");
    if (strlen(json_string_value(value)) == json_string_length(value)) {
        if (among(type->values, json_string_value(value)))
            return 0;
        if (among(type->later, json_string_value(value)))
            return refuse(w, PROTO_UNSUPPORTED, "\"%s\" is not supported by this daemon", json_string_value(value));
    }
    char words[200] = "";
    for (const char *const *v = type->values; *v; v++) {
        size_t n = strlen(words);
        snprintf(words + n, sizeof(words) - n, "%s\"%s\"", n ? ", " : "", *v);
    }
    return refuse(w, PROTO_INVALID_PARAMS, "must be one of %s", words);
}

static int check_array(struct walk *w, const struct proto_type *type, const json_t *value) {
    if (!json_is_array(value))
        return refuse(w, PROTO_INVALID_PARAMS, "must be an array");
    size_t size = json_array_size(value);
    if ((double)size < type->min)
        return refuse(w, PROTO_INVALID_PARAMS, size == 0 ? "must not be empty" : "must have at least %.0f items",
                      type->min);
    if ((double)size > type->max)
        return refuse(w, PROTO_INVALID_PARAMS, "must have at most %.0f items", type->max);
    for (size_t i = 0; i < size; i++) {
        size_t before = step(w, "[%zu]", i);
        int r = check_value(w, type->item, json_array_get(value, i));
        if (r < 0)
            return r;
        w->length = before;
    }
    return 0;
}

static int check_map(struct walk *w, const struct proto_type *type, const json_t *value) {
    if (!json_is_object(value))
        return refuse(w, PROTO_INVALID_PARAMS, "must be an object");
    if (type->max > 0 && (double)json_object_size(value) > type->max)
        return refuse(w, PROTO_INVALID_PARAMS, "must have at most %.0f members", type->max);
    const char *key;
    size_t key_length;
    json_t *item;
    json_object_keylen_foreach((json_t *)(uintptr_t)value, key, key_length, item) {
        size_t before = step_name(w, key);
        if (strlen(key) != key_length)
            return refuse(w, PROTO_INVALID_PARAMS, "has a name with a NUL byte");
        int r = json_is_null(item) && type->null_items ? 0 : check_value(w, type->item, item);
        if (r < 0)
            return r;
        w->length = before;
    }
    return 0;
}

static const struct proto_field *find_field(const struct proto_field *const *lists, const char *name) {
    for (; *lists; lists++)
        for (const struct proto_field *f = *lists; f->name; f++)
            if (streq(f->name, name))
                return f;
    return NULL;
}

static int check_member(struct walk *w, const struct proto_field *f, const json_t *item) {
    if (json_is_null(item) && (!w->result || (f->flags & PF_NULL)))
        return 0;
    int r = check_value(w, f->type, item);
    if (r == 0 && (f->flags & PF_LATER) && !w->result)
        return refuse(w, PROTO_UNSUPPORTED, "is not supported by this daemon");
    return r;
}

static int check_members(struct walk *w, const struct proto_field *const *lists, const json_t *value) {
    if (!json_is_object(value))
        return refuse(w, PROTO_INVALID_PARAMS, "must be an object");
    const char *key;
    size_t key_length;
    json_t *item;
    json_object_keylen_foreach((json_t *)(uintptr_t)value, key, key_length, item) {
        size_t before = step_name(w, key);
        const struct proto_field *f = strlen(key) == key_length ? find_field(lists, key) : NULL;
        if (!f)
            return refuse(w, PROTO_INVALID_PARAMS, "is not known");
        int r = check_member(w, f, item);
        if (r < 0)
            return r;
        w->length = before;
    }
    for (; *lists; lists++)
        for (const struct proto_field *f = *lists; f->name; f++) {
            bool needed = w->result ? !(f->flags & PF_OPTIONAL) : f->flags & PF_REQUIRED;
            if (!needed)
                continue;
            const json_t *there = json_object_get(value, f->name);
            if (!there || (json_is_null(there) && !w->result)) {
                step_name(w, f->name);
                return refuse(w, PROTO_INVALID_PARAMS, "is required");
            }
        }
    return 0;
}

// Of several types the one meant is the one of the value's JSON type; its refusal is the one told.
static int check_oneof(struct walk *w, const struct proto_type *type, const json_t *value) {
    for (const struct proto_type *const *any = type->any; *any; any++) {
        enum proto_kind kind = (*any)->kind;
        bool fits = kind == PK_OBJECT || kind == PK_MAP   ? json_is_object(value)
                    : kind == PK_ARRAY                    ? json_is_array(value)
                    : kind == PK_INT || kind == PK_NUMBER ? json_is_number(value)
                    : kind == PK_BOOL                     ? json_is_boolean(value)
                    : kind == PK_ONEOF || kind == PK_ANY  ? true
                                                          : json_is_string(value);
        if (fits)
            return check_value(w, *any, value);
    }
    return refuse(w, PROTO_INVALID_PARAMS, "is of the wrong type");
}

static int check_kind(struct walk *w, const struct proto_type *type, const json_t *value) {
    switch (type->kind) {
    case PK_ANY:
        return 0;
    case PK_NULL:
        return json_is_null(value) ? 0 : refuse(w, PROTO_INVALID_PARAMS, "must be null");
    case PK_BOOL:
        return json_is_boolean(value) ? 0 : refuse(w, PROTO_INVALID_PARAMS, "must be true or false");
    case PK_INT:
    case PK_NUMBER:
        return check_number(w, type, value);
    case PK_STRING:
        return check_string(w, type, value);
    case PK_ENUM:
        return check_enum(w, type, value);
    case PK_ARRAY:
        return check_array(w, type, value);
    case PK_MAP:
        return check_map(w, type, value);
    case PK_OBJECT:
        return check_members(w, (const struct proto_field *const[]){type->fields, NULL}, value);
    case PK_ONEOF:
        return check_oneof(w, type, value);
    }
    return 0;
}

static int check_value(struct walk *w, const struct proto_type *type, const json_t *value) {
    int r = check_kind(w, type, value);
    if (r < 0 || !type->check)
        return r;
    const char *why = type->check(value);
    return why ? refuse(w, PROTO_INVALID_PARAMS, "%s", why) : 0;
}

static bool given(const json_t *params, const char *name) {
    const json_t *value = json_object_get(params, name);
    return value && !json_is_null(value);
}

static int check_target(struct walk *w, const struct proto_method *method, const json_t *params) {
    int count = given(params, "id") + given(params, "name") + given(params, "ids");
    if (given(params, "final") && method->target == PT_MANY)
        count += json_is_true(json_object_get(params, "final"));
    if (method->target == PT_NONE || count == 1)
        return 0;
    step_name(w, "id");
    if (method->target == PT_ONE)
        return refuse(w, PROTO_INVALID_PARAMS, "exactly one of id, name must be given");
    return refuse(w, PROTO_INVALID_PARAMS, "exactly one of id, name, ids must be given");
}

int schema_check_params(const struct proto_method *method, const json_t *params, struct schema_error *error) {
    struct walk w = {.error = error};
    const struct proto_field *lists[4];
    proto_method_lists(method, lists);
    int r = check_members(&w, lists, params);
    return r < 0 ? r : check_target(&w, method, params);
}

int schema_check_result(const struct proto_type *type, const json_t *value, struct schema_error *error) {
    struct walk w = {.error = error, .result = true};
    return check_value(&w, type, value);
}

static void drop_nulls(const struct proto_field *const *lists, json_t *object) {
    const char *key;
    json_t *item;
    void *next;
    json_object_foreach_safe(object, next, key, item) {
        const struct proto_field *f = find_field(lists, key);
        if (json_is_null(item) && f && (f->flags & PF_NULL))
            continue;
        if (json_is_null(item)) {
            json_object_del(object, key);
        } else if (f && json_is_object(item)) {
            const struct proto_type *type = f->type;
            for (const struct proto_type *const *any = type->kind == PK_ONEOF ? type->any : NULL; any && *any; any++)
                if ((*any)->kind == PK_OBJECT)
                    type = *any;
            if (type->kind == PK_OBJECT)
                drop_nulls((const struct proto_field *const[]){type->fields, NULL}, item);
        }
    }
}

void schema_drop_nulls(const struct proto_method *method, json_t *params) {
    const struct proto_field *lists[4];
    proto_method_lists(method, lists);
    drop_nulls(lists, params);
}
