// The value types of the protocol, with the checks that go beyond a kind.
#include "common/proto_types.h"

#include <ctype.h>
#include <signal.h>

#include "common/bytes.h"
#include "common/util.h"

enum { LABEL_NAME_MAX = 256 };

int64_t proto_int(const json_t *value) {
    return json_is_integer(value) ? json_integer_value(value) : (int64_t)json_real_value(value);
}

int proto_signal_number(const char *name) {
    if (strncmp(name, "SIG", 3) != 0)
        return -EINVAL;
    for (int i = 1; i < NSIG; i++) {
        const char *abbrev = sigabbrev_np(i);
        if (abbrev && streq(abbrev, name + 3))
            return i;
    }
    // Real-time signals have no names of their own: SIG35.
    char *end;
    long number = strtol(name + 3, &end, 10);
    return isdigit((unsigned char)name[3]) && *end == 0 && number >= SIGRTMIN && number <= SIGRTMAX ? (int)number
                                                                                                    : -EINVAL;
}

static const char *const signal_names[NSIG] = {
#define S(x) [x] = #x
    S(SIGHUP),    S(SIGINT),  S(SIGQUIT),  S(SIGILL),  S(SIGTRAP), S(SIGABRT), S(SIGBUS),    S(SIGFPE),
    S(SIGKILL),   S(SIGUSR1), S(SIGSEGV),  S(SIGUSR2), S(SIGPIPE), S(SIGALRM), S(SIGTERM),   S(SIGCHLD),
    S(SIGCONT),   S(SIGSTOP), S(SIGTSTP),  S(SIGTTIN), S(SIGTTOU), S(SIGURG),  S(SIGXCPU),   S(SIGXFSZ),
    S(SIGVTALRM), S(SIGPROF), S(SIGWINCH), S(SIGPOLL), S(SIGPWR),  S(SIGSYS),  S(SIGSTKFLT),
#undef S
};

const char *proto_signal_name(int number) {
    return number > 0 && number < NSIG ? signal_names[number] : NULL;
}

static const char *check_signal(const json_t *value) {
    return proto_signal_number(json_string_value(value)) < 0 ? "is no signal name such as \"SIGTERM\"" : NULL;
}

static const char *check_name(const json_t *value) {
    const char *s = json_string_value(value);
    if (!(isalpha((unsigned char)s[0]) || s[0] == '_'))
        return "must begin with a letter or _";
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_.@-", *s))
            return "may hold letters, digits and _ . @ - only";
    return NULL;
}

static const char *check_bytes(const json_t *value) {
    const json_t *encoding = json_object_get(value, "encoding");
    const json_t *data = json_object_get(value, "data");
    if (!json_is_string(encoding) || !streq(json_string_value(encoding), "base64"))
        return NULL;
    return bytes_base64_valid(json_string_value(data), json_string_length(data)) ? NULL : "is not base64";
}

// argv, env and cwd end at a NUL in the kernel, so none may hold one, however encoded.
static const char *check_arg(const json_t *value) {
    const char *why = check_bytes(value);
    if (why)
        return why;
    size_t size = 0;
    _cleanup_free_ char *data = bytes_from_json(value, &size);
    if (!data)
        return "is too large";
    return memchr(data, 0, size) ? "holds a NUL byte" : NULL;
}

static const char *check_labels(const json_t *value) {
    const char *name;
    size_t length;
    json_t *item;
    json_object_keylen_foreach((json_t *)(uintptr_t)value, name, length, item) {
        if (length > LABEL_NAME_MAX)
            return "has a name of more than 256 bytes";
    }
    return NULL;
}

static const char *check_range(const json_t *value) {
    return json_array_size(value) == 2 ? NULL : "is no pair";
}

static const char *const encodings[] = {"utf-8", "base64", NULL};
static const char *const stream_names[] = {"stdout", "stderr", NULL};
static const char *const stream_sels[] = {"stdout", "stderr", "both", NULL};

const struct proto_type proto_any = {PK_ANY};
const struct proto_type proto_map_any = {PK_MAP, .item = &proto_any};
const struct proto_type proto_bool = {PK_BOOL};
const struct proto_type proto_integer = {PK_INT, .min = -(double)PROTO_INT_MAX, .max = (double)PROTO_INT_MAX};
const struct proto_type proto_count = {PK_INT, .min = 0, .max = (double)PROTO_INT_MAX};
const struct proto_type proto_rows = {PK_INT, .min = 1, .max = 65535};
const struct proto_type proto_pid = {PK_INT, .name = "Pid", .min = 1, .max = (double)INT32_MAX};
const struct proto_type proto_size = {PK_INT, .name = "Size", .doc = "bytes", .min = 0, .max = (double)PROTO_INT_MAX};
const struct proto_type proto_duration = {PK_NUMBER, .name = "Duration", .doc = "seconds",
                                          .min = 0,  .above = true,      .max = PROTO_DURATION_MAX};
const struct proto_type proto_duration0 = {PK_NUMBER, .name = "DurationOrZero", .doc = "seconds", .min = 0,
                                           .max = PROTO_DURATION_MAX};
const struct proto_type proto_elapsed = {PK_NUMBER, .doc = "seconds", .min = -1e18, .max = 1e18};
const struct proto_type proto_instant = {PK_NUMBER, .name = "Instant", .doc = "seconds since the Unix epoch", .min = 0,
                                         .max = 1e18};
const struct proto_type proto_string = {PK_STRING, .max = 1e9, .nul = true};
const struct proto_type proto_text = {PK_STRING, .min = 1, .max = 4096};
const struct proto_type proto_name = {
    PK_STRING, .name = "Name", .min = 1, .max = 64, .pattern = "^[A-Za-z_][A-Za-z0-9_.@-]{0,63}$", .check = check_name};
const struct proto_type proto_key = {PK_STRING, .min = 1, .max = 256};
static const struct proto_type label_value = {PK_STRING, .max = 1024};
const struct proto_type proto_labels = {
    PK_MAP,    .name = "Labels",     .doc = "at most 64, with names of at most 256 bytes and values of at most 1,024",
    .max = 64, .item = &label_value, .check = check_labels};
const struct proto_type proto_filter_labels = {PK_MAP, .max = 64, .item = &label_value, .check = check_labels};
const struct proto_type proto_signal = {
    PK_STRING, .name = "Signal", .min = 1, .max = 32, .pattern = "^SIG[A-Z0-9+-]+$", .check = check_signal};
const struct proto_type proto_id = {PK_INT, .name = "JobId", .min = 1, .max = (double)(PROTO_ID_MAX - 1)};
const struct proto_type proto_ids = {PK_ARRAY, .min = 1, .max = 10000, .item = &proto_id};
const struct proto_type proto_encoding = {PK_ENUM, .name = "Encoding", .values = encodings};
const struct proto_type proto_stream_name = {PK_ENUM, .name = "StreamName", .values = stream_names};
const struct proto_type proto_stream_sel = {PK_ENUM, .values = stream_sels};
static const struct proto_field no_fields[] = {{NULL}};
const struct proto_type proto_empty = {PK_OBJECT, .fields = no_fields};

static const struct proto_field bytes_fields[] = {
    {"data", &proto_string, PF_REQUIRED, NULL, "the bytes, as text or base64"},
    {"encoding", &proto_encoding, 0, "\"utf-8\"", "how data is to be read"},
    {NULL},
};
const struct proto_type proto_bytes = {PK_OBJECT, .name = "Bytes", .doc = "bytes, as text or base64",
                                       .fields = bytes_fields, .check = check_bytes};
static const struct proto_type arg_text = {PK_STRING, .max = 2097152};
static const struct proto_type arg_bytes = {PK_OBJECT, .name = "ArgBytes", .doc = "bytes without NUL",
                                            .fields = bytes_fields, .check = check_arg};
static const struct proto_type *const arg_any[] = {&arg_text, &arg_bytes, NULL};
const struct proto_type proto_arg = {PK_ONEOF, .name = "Argument", .any = arg_any};

static const struct proto_type offset_number = {PK_INT, .min = -(double)PROTO_INT_MAX, .max = (double)PROTO_INT_MAX};
static const struct proto_field offset_fields[] = {
    {"stdout", &offset_number, 0, "0", "offset in stdout"},
    {"stderr", &offset_number, 0, "0", "offset in stderr"},
    {NULL},
};
static const struct proto_type offset_both = {PK_OBJECT, .fields = offset_fields};
static const struct proto_type *const offset_any[] = {&offset_number, &offset_both, NULL};
const struct proto_type proto_offset = {PK_ONEOF, .name = "Offset",
                                        .doc = "bytes from the stream's start; negative: from its present end",
                                        .any = offset_any};

const struct proto_type proto_range = {PK_ARRAY, .name = "Range",      .doc = "[start, end): offsets of bytes",
                                       .max = 2, .item = &proto_count, .check = check_range};
const struct proto_type proto_ranges = {PK_ARRAY, .max = 1e6, .item = &proto_range};
