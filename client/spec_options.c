// Fields of a spec as options.
#include "client/spec_options.h"

#include <stdio.h>

#include "common/bytes.h"
#include "common/proto.h"
#include "common/units.h"
#include "common/util.h"

enum { SPEC_OPTIONS_MAX = 64 };

struct spec_option {
    const struct proto_field *field;
    const char *parent; // the field of the spec that holds it, or NULL
};

static const char *option_long(const struct proto_field *field) {
    return field->option[1] == ',' ? field->option + 2 : field->option;
}

// The n-th field that has an option; fields of objects in the spec count too.
static bool spec_option_at(int n, struct spec_option *ret_option) {
    for (const struct proto_field *f = proto_spec_fields; f->name; f++) {
        if (f->option && n-- == 0) {
            *ret_option = (struct spec_option){f, NULL};
            return true;
        }
        const struct proto_field *inner = f->type->kind == PK_OBJECT ? f->type->fields : NULL;
        for (; inner && inner->name; inner++) {
            if (inner->option && n-- == 0) {
                *ret_option = (struct spec_option){inner, f->name};
                return true;
            }
        }
    }
    return false;
}

// What supctl takes over from its caller has another default than in the protocol.
static const char *option_help(const struct proto_field *field) {
    if (streq(field->name, "cwd"))
        return "working directory (default: this one)";
    if (streq(field->name, "env"))
        return "a variable over this environment; may be repeated";
    return field->doc;
}

const struct argument *spec_options(void) {
    static struct argument table[SPEC_OPTIONS_MAX + 1];
    struct spec_option option;
    for (int i = 0; i < SPEC_OPTIONS_MAX && spec_option_at(i, &option); i++)
        table[i] = (struct argument){option.field->option, option.field->metavar, option_help(option.field),
                                     SPEC_OPTIONS_FIRST + i};
    return table;
}

json_t *spec_options_bytes(const char *word) {
    json_t *text = json_string(word); // NULL: not UTF-8
    if (text)
        return text;
    json_t *object = json_object();
    if (object && bytes_to_json(object, word, strlen(word), true) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *value_integer(const char *value, bool is_size) {
    int64_t bytes;
    if (is_size)
        return units_parse_size(value, &bytes) == 0 ? json_integer(bytes) : NULL;
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    return end == value || *end || errno ? NULL : json_integer(number);
}

static bool takes_text(const struct proto_type *type) {
    for (const struct proto_type *const *any = type->any; any && *any; any++)
        if (takes_text(*any))
            return true;
    return type->kind == PK_STRING;
}

// capture, null and the like are words; anything else is a file, appended to after a +.
static json_t *value_choice(const struct proto_type *type, const char *value) {
    if (takes_text(type))
        return spec_options_bytes(value);
    for (const struct proto_type *const *any = type->any; *any; any++)
        for (const char *const *word = (*any)->kind == PK_ENUM ? (*any)->values : NULL; word && *word; word++)
            if (streq(*word, value))
                return json_string(value);
    bool append = value[0] == '+';
    if (!value[append])
        return NULL;
    return json_pack("{s:o,s:b}", "file", spec_options_bytes(value + append), "append", append);
}

static json_t *value_make(const struct proto_field *field, const char *value) {
    const struct proto_type *type = field->type;
    double seconds;
    switch (type->kind) {
    case PK_NUMBER:
        return units_parse_duration(value, &seconds) == 0 ? json_real(seconds) : NULL;
    case PK_INT:
        return value_integer(value, field->metavar && streq(field->metavar, "SIZE"));
    case PK_ONEOF:
        return value_choice(type, value);
    case PK_BOOL:
        return json_true();
    default:
        if (type->name && streq(type->name, "Signal"))
            return units_parse_signal(value) ? json_string(units_parse_signal(value)) : NULL;
        return json_string(value);
    }
}

// The object that holds the field: the spec, or one in it, made where it is missing.
static json_t *option_holder(json_t *spec, const char *name) {
    json_t *holder = name ? json_object_get(spec, name) : spec;
    if (!json_is_object(holder)) {
        holder = json_object();
        json_object_set_new(spec, name, holder);
    }
    return holder;
}

// The value of a variable may be a secret: errors do not tell it.
static int set_pair(json_t *spec, const struct proto_field *field, const char *value, char why[512]) {
    const char *equals = strchr(value, '=');
    if (!equals || equals == value) {
        snprintf(why, 512, "--%s: must be KEY=VALUE", option_long(field));
        return -1;
    }
    _cleanup_free_ char *key = strndup(value, (size_t)(equals - value));
    if (key && json_object_set_new(option_holder(spec, field->name), key, spec_options_bytes(equals + 1)) == 0)
        return 0;
    snprintf(why, 512, "--%s: %.200s: is not UTF-8", option_long(field), key ? key : "");
    return -1;
}

int spec_options_set(json_t *spec, int id, const char *value, char why[512]) {
    struct spec_option option;
    if (!spec_option_at(id - SPEC_OPTIONS_FIRST, &option))
        return -1;
    if (option.field->type->kind == PK_MAP)
        return set_pair(spec, option.field, value, why);
    json_t *made = value_make(option.field, value);
    if (made && json_object_set_new(option_holder(spec, option.parent), option.field->name, made) == 0)
        return 0;
    const char *metavar = option.field->metavar ? option.field->metavar : "VALUE";
    const char *example = streq(metavar, "DURATION") ? ": a number with ms, s, m, h or d"
                          : streq(metavar, "SIZE")   ? ": a number with K, M or G"
                                                     : "";
    snprintf(why, 512, "--%s: %.200s: is no %s%s", option_long(option.field), value, metavar, example);
    return -1;
}
