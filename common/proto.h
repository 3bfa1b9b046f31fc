// proto: the control protocol as one set of tables. Checking, dispatch, rpc.discover, `supd --describe`,
// the options of supctl with their help and the protocol page of the documents all come from here.
//
// Tables are constant and live for the whole program. Field lists end with a row whose name is NULL.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_VERSION 1
#define PROTO_ID_MAX ((int64_t)1 << 53)
#define PROTO_INT_MAX INT64_MAX
#define PROTO_DURATION_MAX 1e9
#define PROTO_DEPTH_MAX 64
#define PROTO_VALUES_MAX 393216 // of a line: the largest argv and env, each item with its encoding, are 330,000
#define PROTO_BATCH_MAX 256
#define PROTO_USER_MAX 256

enum proto_kind {
    PK_ANY,
    PK_NULL,
    PK_BOOL,
    PK_INT,    // min to max; a real without a fraction counts as one
    PK_NUMBER, // min (exclusive where `above` is set) to max
    PK_STRING, // min to max bytes, no NUL unless `nul`
    PK_ENUM,
    PK_ARRAY,  // of item, min to max of them
    PK_MAP,    // object of any keys, each value an item
    PK_OBJECT, // fields, no others
    PK_ONEOF,
};

struct proto_field;

struct proto_type {
    enum proto_kind kind;
    const char *name; // the type's name in the OpenRPC components, or NULL: written in place
    const char *doc;
    double min, max;
    bool above;          // PK_NUMBER: greater than min
    bool nul;            // PK_STRING: may hold NUL
    bool null_items;     // PK_MAP: a value may be null
    const char *pattern; // PK_STRING: what `check` accepts, for the documents
    // A check beyond the kind. Returns why the value is refused, or NULL. May be NULL.
    const char *(*check)(const json_t *value);
    const char *const *values;           // PK_ENUM, NULL at the end
    const char *const *later;            // PK_ENUM: known, but refused as unsupported
    const struct proto_type *item;       // PK_ARRAY, PK_MAP
    const struct proto_field *fields;    // PK_OBJECT
    const struct proto_type *const *any; // PK_ONEOF, NULL at the end
};

enum proto_flag {
    PF_REQUIRED = 1, // in a param: must be given. In a result every field that is not PF_OPTIONAL is there
    PF_OPTIONAL = 2, // in a result: may be absent
    PF_NULL = 4,     // in a result: may be null. In a param: null means something, and is not as if absent
    PF_LATER = 8,    // known, but refused as unsupported
};

struct proto_field {
    const char *name;
    const struct proto_type *type;
    unsigned flags;
    const char *fallback; // the default as JSON text, for the documents; NULL: none
    const char *doc;
    const char *option;  // the option of supctl run and start, without dashes, "x,xlong" with a short one; or NULL
    const char *metavar; // the option's value in its help; NULL: a flag
};

// Which jobs the params of a method name; the id, name and ids params are added by it.
enum proto_target { PT_NONE, PT_ONE, PT_MANY };

struct proto_method {
    const char *name;
    const char *doc;
    enum proto_target target;
    bool administrators;
    const struct proto_field *spec;   // the job's fields, or NULL
    const struct proto_field *params; // the method's own, or NULL
    const struct proto_type *result;
};

struct proto_error {
    int code;
    const char *name;
    const char *doc;
};

enum proto_error_code {
    PROTO_PARSE_ERROR = -32700,
    PROTO_INVALID_REQUEST = -32600,
    PROTO_METHOD_NOT_FOUND = -32601,
    PROTO_INVALID_PARAMS = -32602,
    PROTO_INTERNAL_ERROR = -32603,
    PROTO_NOT_FOUND = 1,
    PROTO_PERMISSION_DENIED = 2,
    PROTO_CONFLICT = 3,
    PROTO_LIMIT_REACHED = 4,
    PROTO_SHUTTING_DOWN = 5,
    PROTO_UNSUPPORTED = 6,
};

extern const struct proto_method proto_methods[]; // ends with a NULL name
extern const struct proto_method proto_notifications[];
extern const struct proto_error proto_errors[]; // ends with code 0
extern const struct proto_field proto_spec_fields[];
extern const struct proto_field proto_target_one[], proto_target_many[];
extern const struct proto_type proto_job_type; // the job record
extern const char *const proto_reasons[], *const proto_states[];

const struct proto_method *proto_method_find(const char *name);
const struct proto_error *proto_error_find(int code); // never NULL: an unknown code is the internal error

// The field lists of a method's params, in order: spec, target, own. Fills `lists` and ends it with NULL.
void proto_method_lists(const struct proto_method *method, const struct proto_field *lists[4]);

// Signals by name ("SIGTERM"). A name unknown here: -EINVAL. A number without a name: NULL.
int proto_signal_number(const char *name);
const char *proto_signal_name(int number);

// The value of a PK_INT or PK_NUMBER that has passed its check.
int64_t proto_int(const json_t *value);
