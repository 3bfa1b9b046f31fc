// Answers: where errno values become protocol errors, and batches are put together.
#include "daemon/control/call.h"

#include <stdio.h>

#include "common/bytes.h"
#include "common/util.h"
#include "daemon/control/keeping.h"
#include "daemon/control/session.h"

enum { CALL_SMALL = 4096 }; // bytes, of which there may be as many as calls

struct batch {
    size_t open;         // members without an answer yet
    struct buffer text;  // of the answers so far, in the owner's account; as values they would be ten times as large
    struct owner *owner; // borrowed: its session's, which ends all its calls before it goes
};

static const struct {
    int error, code;
} error_codes[] = {
    {-EINVAL, PROTO_INVALID_PARAMS},    {-ENOENT, PROTO_NOT_FOUND},        {-EPERM, PROTO_PERMISSION_DENIED},
    {-EACCES, PROTO_PERMISSION_DENIED}, {-EEXIST, PROTO_CONFLICT},         {-EBUSY, PROTO_CONFLICT},
    {-ESRCH, PROTO_CONFLICT},           {-EMFILE, PROTO_LIMIT_REACHED},    {-EUSERS, PROTO_LIMIT_REACHED},
    {-EDQUOT, PROTO_LIMIT_REACHED},     {-ESHUTDOWN, PROTO_SHUTTING_DOWN}, {-EOPNOTSUPP, PROTO_UNSUPPORTED},
};

struct batch *batch_new(struct session *session, size_t count) {
    struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return NULL;
    batch->open = count;
    batch->owner = session->owner;
    keep_session_unkept(session, 1);
    return batch;
}

static void batch_send(struct batch *batch, struct session *session) {
    if (buffer_append(&batch->text, "]\n", 2) == 0)
        session_send_text(session, &batch->text);
    else
        session_send(session, NULL);
}

static void batch_settle(struct batch *batch, struct session *session) {
    if (--batch->open > 0)
        return;
    if (session)
        keep_session_unkept(session, -1);
    batch->owner->queued_bytes -= (int64_t)buffer_size(&batch->text);
    if (session && buffer_size(&batch->text) > 0)
        batch_send(batch, session);
    buffer_done(&batch->text);
    free(batch);
}

void batch_drop(struct batch *batch, size_t count) {
    for (; count > 0; count--)
        batch_settle(batch, NULL);
}

// Gathered until the last member is done, however long that waits.
static bool batch_gather(struct batch *batch, json_t *message) {
    size_t before = buffer_size(&batch->text);
    if (!message || buffer_append(&batch->text, before ? "," : "[", 1) < 0)
        return false;
    if (message_append_text(&batch->text, message) < 0) {
        batch->text.end--;
        return false;
    }
    batch->owner->queued_bytes += (int64_t)(buffer_size(&batch->text) - before);
    return true;
}

// An id may be as long as a line.
size_t call_id_size(const json_t *id) {
    return json_dumpb(id, NULL, 0, JSON_ENCODE_ANY);
}

void call_hold(struct call *call) {
    call->held = call_id_size(call->id);
    call->session->owner->queued_bytes += (int64_t)call->held;
}

bool call_is_over(const struct call *call) {
    const struct session *session = call->session;
    bool large = call->held > CALL_SMALL || call->batch;
    return large && !owner_may(session->owner, session->owner->queued_bytes, 0,
                               owners_limits(session->control->owners)->queued_bytes);
}

struct call *call_new(struct session *session, json_t *id) {
    struct call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->session = session;
    session_hold(session, 1);
    call->id = json_incref(id);
    call_hold(call);
    return call;
}

static void call_close(struct call *call) {
    for (int i = 0; i < call->fd_count; i++)
        close(call->fds[i]);
    if (call->session)
        session_account(call->session, -call->fd_count);
    call->fd_count = 0;
}

static void call_free(struct call *call) {
    call_close(call);
    if (call->session) {
        session_hold(call->session, -1);
        call->session->owner->queued_bytes -= (int64_t)call->held;
    }
    if (call->batch)
        batch_settle(call->batch, call->session);
    json_decref(call->id);
    free(call);
}

static void call_send_with(struct call *call, json_t *message) {
    int count = call->fd_count;
    call->fd_count = 0;
    session_send_with(call->session, message, call->fds, count);
}

// Sends the message as this call's answer; NULL, when memory is out, as the one error that needs none.
static void call_finish(struct call *call, json_t *message) {
    if (call->id && call->session) {
        bool gathered = call->batch && batch_gather(call->batch, message);
        if (call->batch && !gathered)
            session_send(call->session, NULL);
        else if (!call->batch && call->fd_count > 0)
            call_send_with(call, message);
        else if (!call->batch)
            session_send(call->session, message);
    }
    json_decref(message);
    call_free(call);
}

void call_answer(struct call *call, json_t *result) {
    if (!result) {
        call_error(call, PROTO_INTERNAL_ERROR, "out of memory");
        return;
    }
    if (!call->id)
        json_decref(result);
    call_finish(call, call->id ? message_result(call->id, result) : NULL);
}

void call_error(struct call *call, int code, const char *what) {
    call_finish(call, call->id ? message_error(call->id, code, what, NULL) : NULL);
}

static json_t *refusal_data(const struct refusal *refusal, int code) {
    json_t *data = json_object();
    if (refusal->field[0])
        json_object_set_new(data, "field", json_string(refusal->field));
    if (refusal->why[0])
        json_object_set_new(data, "why", json_string(refusal->why));
    if (refusal->limit)
        json_object_set_new(data, "limit", json_string(refusal->limit));
    if (refusal->id)
        json_object_set_new(data, "id", json_integer(refusal->id));
    if (refusal->has_accepted)
        json_object_set_new(data, "accepted_bytes", json_integer(refusal->accepted));
    if (refusal->name[0])
        json_object_set_new(data, "job", json_string(refusal->name));
    return data;
}

void call_refuse(struct call *call, int error) {
    int code = PROTO_INTERNAL_ERROR;
    struct refusal *refusal = &call->refusal;
    for (size_t i = 0; i < ARRAY_SIZE(error_codes); i++)
        if (error_codes[i].error == error)
            code = error_codes[i].code;
    if (!refusal->what[0] && refusal->field[0])
        snprintf(refusal->what, sizeof(refusal->what), "%.*s: %s",
                 (int)bytes_cut(refusal->field, MIN(strlen(refusal->field), (size_t)100)), refusal->field,
                 refusal->why);
    if (!refusal->what[0] && code == PROTO_INTERNAL_ERROR)
        snprintf(refusal->what, sizeof(refusal->what), "%s", strerror(-error));
    if (!refusal->what[0] && refusal->limit)
        snprintf(refusal->what, sizeof(refusal->what), "limit of %s reached: wait for answers, and for jobs to end",
                 refusal->limit);
    json_t *message = call->id ? message_error(call->id, code, refusal->what, refusal_data(refusal, code)) : NULL;
    call_finish(call, message);
}

void call_drop(struct call *call) {
    session_hold(call->session, -1);
    call->session->owner->queued_bytes -= (int64_t)call->held;
    call->session = NULL;
    call_free(call);
}
