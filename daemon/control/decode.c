// From JSON to a spec. What a single value may be was checked against the table; here is only what it becomes.
#include "daemon/control/decode.h"

#include <math.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/proto.h"
#include "common/parse.h"
#include "common/util.h"

static char *text(const json_t *value) {
    size_t size;
    return bytes_from_json(value, &size);
}

static int set_text(const json_t *params, const char *key, char **to) {
    const json_t *value = json_object_get(params, key);
    if (!value)
        return 0;
    *to = text(value);
    return *to ? 0 : -ENOMEM;
}

static void set_seconds(const json_t *params, const char *key, double *to) {
    const json_t *value = json_object_get(params, key);
    if (value)
        *to = json_number_value(value);
}

static void set_bytes(const json_t *params, const char *key, int64_t *to) {
    const json_t *value = json_object_get(params, key);
    if (value)
        *to = proto_int(value);
}

// How many bytes of words: no encoding of them is shorter.
static size_t words_size(const json_t *argv) {
    size_t i, size = 0;
    const json_t *word;
    json_array_foreach(argv, i, word) {
        const json_t *data = json_is_object(word) ? json_object_get(word, "data") : word;
        size += json_string_length(data) + 1;
    }
    return size;
}

// In one piece of memory: many live jobs have it.
static int set_argv(const json_t *params, struct spec *spec) {
    const json_t *argv = json_object_get(params, "argv");
    size_t count = json_array_size(argv);
    spec->argv = malloc((count + 1) * sizeof(char *) + words_size(argv));
    if (!spec->argv)
        return -ENOMEM;
    char *place = (char *)(spec->argv + count + 1);
    for (spec->argc = 0; spec->argc < count; spec->argc++) {
        _cleanup_free_ char *word = text(json_array_get(argv, spec->argc));
        if (!word)
            return -ENOMEM;
        spec->argv[spec->argc] = place;
        place = stpcpy(place, word) + 1;
    }
    spec->argv[count] = NULL;
    return 0;
}

static int set_pairs(const json_t *params, const char *key, struct spec_pair **ret_pairs, size_t *ret_count) {
    json_t *object = json_object_get(params, key), *value;
    const char *name;
    if (json_object_size(object) == 0)
        return 0;
    *ret_pairs = calloc(json_object_size(object), sizeof(struct spec_pair));
    if (!*ret_pairs)
        return -ENOMEM;
    json_object_foreach(object, name, value) {
        struct spec_pair *pair = &(*ret_pairs)[(*ret_count)++];
        pair->name = strdup(name);
        pair->value = json_is_null(value) ? NULL : text(value);
        if (!pair->name || (!pair->value && !json_is_null(value)))
            return -ENOMEM;
    }
    return 0;
}

static int set_stream(const json_t *params, const char *key, struct spec_stream *stream) {
    const json_t *value = json_object_get(params, key);
    if (!value)
        return 0;
    if (json_is_object(value)) {
        stream->sink = SINK_FILE;
        stream->append = json_is_true(json_object_get(value, "append"));
        stream->path = text(json_object_get(value, "file"));
        return stream->path ? 0 : -ENOMEM;
    }
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    stream->sink = streq(word, "null")     ? SINK_NULL
                   : streq(word, "stdout") ? SINK_STDOUT
                   : streq(word, "fd")     ? SINK_FD
                                           : SINK_CAPTURE;
    return 0;
}

static int set_stdin(const json_t *params, struct spec *spec) {
    const json_t *value = json_object_get(params, "stdin");
    const char *word = json_string_value(value);
    if (word && streq(word, "stream"))
        spec->stdin_from = STDIN_STREAM;
    if (word && streq(word, "fd"))
        spec->stdin_from = STDIN_FD;
    if (!json_is_object(value))
        return 0;
    spec->stdin_data = bytes_from_json(value, &spec->stdin_size);
    spec->stdin_from = STDIN_DATA;
    return spec->stdin_data ? 0 : -ENOMEM;
}

static int set_pty(const json_t *params, struct spec *spec) {
    const json_t *pty = json_object_get(params, "pty");
    const json_t *rows = json_object_get(pty, "rows"), *cols = json_object_get(pty, "cols");
    if (!pty)
        return 0;
    spec->pty = true;
    spec->rows = rows ? (unsigned)proto_int(rows) : spec->rows;
    spec->cols = cols ? (unsigned)proto_int(cols) : spec->cols;
    return set_text(pty, "term", &spec->term);
}

static void set_output(const json_t *params, struct spec *spec) {
    const json_t *output = json_object_get(params, "output");
    set_bytes(output, "head_bytes", &spec->head_bytes);
    set_bytes(output, "tail_bytes", &spec->tail_bytes);
    set_bytes(output, "limit_bytes", &spec->limit_bytes);
    const char *on_limit = json_string_value(json_object_get(output, "on_limit"));
    spec->kill_on_limit = on_limit && streq(on_limit, "kill");
}

static int set_limits(const json_t *params, struct spec *spec) {
    const json_t *limits = json_object_get(params, "limits");
    if (json_object_size(limits) == 0)
        return 0;
    spec->limits = malloc(LIMIT_COUNT * sizeof(*spec->limits));
    if (!spec->limits)
        return -ENOMEM;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        spec->limits[i] = -1;
        set_bytes(limits, spec_limit_names[i], &spec->limits[i]);
    }
    return 0;
}

static void set_words(const json_t *params, struct spec *spec) {
    const char *signal = json_string_value(json_object_get(params, "stop_signal"));
    if (signal)
        spec->stop_signal = proto_signal_number(signal);
    const char *descendants = json_string_value(json_object_get(params, "descendants"));
    if (descendants)
        spec->descendants = streq(descendants, "wait")   ? DESCENDANTS_WAIT
                            : streq(descendants, "keep") ? DESCENDANTS_KEEP
                                                         : DESCENDANTS_KILL;
    const char *umask = json_string_value(json_object_get(params, "umask"));
    if (umask)
        spec->umask = (mode_t)strtoul(umask, NULL, 8) & 0777;
    const json_t *nice = json_object_get(params, "nice");
    spec->has_nice = nice != NULL;
    if (nice)
        spec->nice = (int)proto_int(nice);
}

// A copy in which numbers that are equal are the same: 5.0 is 5. NULL when memory is out.
static json_t *normal(json_t *value) {
    json_t *copy, *item;
    const char *key;
    size_t i;
    if (json_is_real(value) && fabs(json_real_value(value)) < 1e15 &&
        json_real_value(value) == floor(json_real_value(value)))
        return json_integer((json_int_t)json_real_value(value));
    bool whole = true;
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach(value, key, item)
            whole = whole && json_object_set_new(copy, key, normal(item)) == 0;
    } else if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, item)
            whole = whole && json_array_append_new(copy, normal(item)) == 0;
    } else {
        return json_incref(value);
    }
    if (!whole) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

struct form {
    struct buffer text;
    int result; // the first failure: jansson goes on after some
};

static int form_append(const char *data, size_t size, void *arg) {
    struct form *form = arg;
    if (form->result == 0)
        form->result = buffer_append(&form->text, data, size);
    return form->result;
}

static char *form_of(const json_t *own) {
    struct form form = {0};
    if (json_dump_callback(own, form_append, &form, JSON_COMPACT | JSON_SORT_KEYS) < 0 || form.result < 0 ||
        buffer_append(&form.text, "", 1) < 0)
        buffer_done(&form.text);
    return form.text.data;
}

static int add_own(json_t *own, const struct proto_field *f, json_t *given) {
    json_t *value = normal(given);
    json_t *fallback = f->fallback ? parse_json(f->fallback, strlen(f->fallback), JSON_DECODE_ANY, NULL, NULL) : NULL;
    int r = value && (fallback || !f->fallback) ? 0 : -ENOMEM;
    if (r == 0 && !(fallback && json_equal(value, fallback)))
        r = json_object_set(own, f->name, value) < 0 ? -ENOMEM : 0;
    json_decref(fallback);
    json_decref(value);
    return r;
}

// What is kept of it, as its secrets are not.
static char *digest_of(const char *text) {
    struct sha256_ctx ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char *hex = malloc(BASE16_ENCODE_LENGTH(sizeof(digest)) + 1);
    if (!hex)
        return NULL;
    sha256_init(&ctx);
    sha256_update(&ctx, strlen(text), (const uint8_t *)text);
    sha256_digest(&ctx, sizeof(digest), digest);
    base16_encode_update(hex, sizeof(digest), digest);
    hex[BASE16_ENCODE_LENGTH(sizeof(digest))] = 0;
    return hex;
}

// The spec's own part of the params in one fixed form: what equals its default is as if absent. The lease is
// left out: it is the connection's, and its default the method's.
static int set_canonical(const json_t *params, struct spec *spec) {
    json_t *own = json_object();
    int r = own ? 0 : -ENOMEM;
    for (const struct proto_field *f = proto_spec_fields; r == 0 && f->name; f++) {
        json_t *value = json_object_get(params, f->name);
        if (value && !streq(f->name, "lease"))
            r = add_own(own, f, value);
    }
    _cleanup_free_ char *form = r == 0 ? form_of(own) : NULL;
    if (form)
        spec->canonical = digest_of(form);
    json_decref(own);
    return spec->canonical ? 0 : -ENOMEM;
}

static int refuse(struct refusal *refusal, const char *field, const char *why) {
    snprintf(refusal->field, sizeof(refusal->field), "%s", field);
    snprintf(refusal->why, sizeof(refusal->why), "%s", why);
    return -EINVAL;
}

// A terminal is all three streams at once, so none may be something else.
static int check_pty(struct spec *spec, struct refusal *refusal) {
    if (spec->stdin_from != STDIN_NULL && spec->stdin_from != STDIN_STREAM)
        return refuse(refusal, "stdin", "goes with no pty, which is its stdin: give it bytes by job.input");
    if (spec->streams[STREAM_OUT].sink != SINK_CAPTURE)
        return refuse(refusal, "stdout", "goes with no pty, which is its stdout");
    struct spec_stream *err = &spec->streams[STREAM_ERR];
    if (err->sink != SINK_CAPTURE && err->sink != SINK_STDOUT)
        return refuse(refusal, "stderr", "goes with no pty, which is its stderr");
    err->sink = SINK_STDOUT;
    return 0;
}

static int check_together(struct spec *spec, struct refusal *refusal) {
    int r = spec->pty ? check_pty(spec, refusal) : 0;
    if (r < 0)
        return r;
    bool captured = spec_captures(spec, STREAM_OUT) || spec_captures(spec, STREAM_ERR);
    if (spec->idle_timeout > 0 && !captured)
        return refuse(refusal, "idle_timeout", "needs a captured stream");
    return 0;
}

int decode_spec(const json_t *params, bool lease, struct refusal *refusal, struct spec *ret_spec) {
    struct spec *spec = ret_spec;
    spec_init(spec);
    spec->lease = lease;
    const json_t *value = json_object_get(params, "lease");
    if (value)
        spec->lease = json_is_true(value);
    set_seconds(params, "timeout", &spec->timeout);
    set_seconds(params, "idle_timeout", &spec->idle_timeout);
    set_seconds(params, "cpu_timeout", &spec->cpu_timeout);
    set_seconds(params, "grace", &spec->grace);
    set_seconds(params, "retain", &spec->retain);
    set_output(params, spec);
    set_words(params, spec);
    int r = set_argv(params, spec);
    if (r == 0)
        r = set_text(params, "name", &spec->name);
    if (r == 0)
        r = set_text(params, "key", &spec->key);
    if (r == 0)
        r = set_text(params, "cwd", &spec->cwd);
    if (r == 0)
        r = set_pairs(params, "labels", &spec->labels, &spec->label_count);
    if (r == 0)
        r = set_pairs(params, "env", &spec->env, &spec->env_count);
    if (r == 0)
        r = set_stdin(params, spec);
    if (r == 0)
        r = set_pty(params, spec);
    if (r == 0)
        r = set_limits(params, spec);
    if (r == 0)
        r = set_stream(params, "stdout", &spec->streams[STREAM_OUT]);
    if (r == 0)
        r = set_stream(params, "stderr", &spec->streams[STREAM_ERR]);
    if (r == 0 && spec->key && json_object_get(params, "digest")) // of one that was kept, without its secrets
        r = set_text(params, "digest", &spec->canonical);
    else if (r == 0 && spec->key)
        r = set_canonical(params, spec);
    return r < 0 ? r : check_together(spec, refusal);
}

int decode_labels(const json_t *params, struct spec_pair **ret_labels, size_t *ret_count) {
    *ret_labels = NULL;
    *ret_count = 0;
    int r = set_pairs(params, "labels", ret_labels, ret_count);
    if (r < 0)
        spec_pairs_free(ret_labels, ret_count);
    return r;
}
