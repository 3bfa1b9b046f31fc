// call: one request on its way to its answer.
#pragma once

#include <jansson.h>

#include "common/message.h"
#include "daemon/control/control.h"

struct batch;

// Why a handler refuses, beyond its errno. Texts are short and go to the client.
struct refusal {
    char what[400];
    char field[160], why[256]; // invalid_params, unsupported
    bool has_accepted;
    int64_t accepted;  // with it: bytes of job.input that were taken before it failed
    const char *limit; // limit_reached: which; static
    int64_t id;        // not_found: the job asked for, 0: none
    char name[80];     // not_found: likewise
};

struct call {
    struct session *session; // borrowed; ends all its calls before it goes
    const struct proto_method *method;
    json_t *id;          // owned; NULL: a notification, not answered
    size_t held;         // bytes of it, in the owner's account
    struct batch *batch; // borrowed, or NULL; freed with its last answer
    int fds[3];          // owned: to be sent along with the answer, in the session's account; none in a batch
    int fd_count;
    struct refusal refusal;
};

enum { CALL_LATER = 1 }; // what a handler returns that will answer by call_answer or call_refuse

// A handler reads checked params, and returns 0 with a result, CALL_LATER, or a negative errno with call->refusal.
typedef int (*call_handler)(struct call *call, json_t *params, json_t **ret_result);

// A call of a request that is already on its way. NULL when memory is out.
struct call *call_new(struct session *session, json_t *id);

// Both free the call. The result is taken over; NULL means that memory is out.
void call_answer(struct call *call, json_t *result);
void call_refuse(struct call *call, int error); // negative errno, told by the one table that maps them
void call_drop(struct call *call);              // its session is gone
// Takes over `error_code` as it is: for what is refused before a handler is found.
void call_error(struct call *call, int code, const char *what);

// Bytes of an id as JSON, as which the next worker's are kept: a control character is six. NULL: 0.
size_t call_id_size(const json_t *id);
// Counts what the call keeps as long as it waits; once its id is set.
void call_hold(struct call *call);
// Whether it keeps what is large, or has its answer gathered, and its user has more than they may already.
bool call_is_over(const struct call *call);

struct batch *batch_new(struct session *session, size_t count);
// Its session is gone, and its last `count` members will not be calls.
void batch_drop(struct batch *batch, size_t count);
