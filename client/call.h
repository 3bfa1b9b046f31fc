// call: a connection to supd and the calls on it. Answers and notifications come in on a libev loop.
#pragma once

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ancillary.h"

struct call_fault {
    int code;       // of the protocol (enum proto_error_code); 0: the connection itself failed
    char text[512]; // what, and why
    char field[64]; // the param that is refused, or ""
};

struct call_listener {
    // The answer to a posted call: `result`, or NULL with `fault`. Both are valid during the call only.
    void (*answer)(int64_t id, json_t *result, const struct call_fault *fault, void *data);
    void (*notification)(const char *method, json_t *params, void *data);
    void (*lost)(void *data); // the connection has ended; nothing more comes
};

struct call;

// Takes the connected descriptor over (closed on failure too). Returns 0 or a negative errno.
int call_new(int fd, struct call **ret_call);
void call_free(struct call *call);
// Goes on over another connection, which is taken over likewise; what was posted before is not answered any more.
int call_renew(struct call *call, int fd);
bool call_is_lost(const struct call *call); // its connection has ended
struct ev_loop *call_loop(struct call *call);

// Who is told of posted calls' answers and of notifications. Borrowed; NULL: nobody.
void call_listen(struct call *call, const struct call_listener *listener, void *data);

// Sends a request without waiting; its answer goes to the listener. Takes `params` over. Returns its id, or 0 where it could
// not be made: the method or a param is not UTF-8 (jansson made NULL of that), or memory is out.
int64_t call_post(struct call *call, const char *method, json_t *params);

// What is posted from here on goes out by call_together, as one batch: supd does it all before anything else happens.
void call_gather(struct call *call);
void call_together(struct call *call);

// The same without an answer.
void call_notify(struct call *call, const char *method, json_t *params);

// The next request takes these descriptors along; they stay the caller's.
void call_lend(struct call *call, const int *fds, int count);
// During a callback: the descriptors that came with what it tells, now the caller's.
struct ancillary call_take(struct call *call);

// Sends a request and runs the loop until it is answered. Takes `params` over. Returns 0 and the result, to be
// json_decref'ed, or -1 with `fault` filled.
int call_sync(struct call *call, const char *method, json_t *params, json_t **ret_result, struct call_fault *fault);

// Whether lines are read from the daemon; while they are not, the daemon holds what it has for this client.
void call_read(struct call *call, bool on);
