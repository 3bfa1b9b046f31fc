// Lines to handlers.
#include "daemon/control/dispatch.h"

#include <stdio.h>
#include <utlist.h>

#include "common/bytes.h"
#include "common/schema.h"
#include "common/util.h"
#include "daemon/control/admission.h"
#include "daemon/control/archive.h"
#include "daemon/control/methods.h"
#include "daemon/control/session.h"

static const struct {
    const char *method;
    call_handler handler;
} handlers[] = {
    {"job.run", method_job_run},
    {"job.start", method_job_start},
    {"job.wait", method_job_wait},
    {"job.status", method_job_status},
    {"job.list", method_job_list},
    {"job.kill", method_job_kill},
    {"job.signal", method_job_signal},
    {"job.output", method_job_output},
    {"job.input", method_job_input},
    {"job.resize", method_job_resize},
    {"job.update", method_job_update},
    {"job.lease", method_job_lease},
    {"job.forget", method_job_forget},
    {"event.subscribe", method_event_subscribe},
    {"event.unsubscribe", method_event_unsubscribe},
    {"daemon.info", method_daemon_info},
    {"daemon.stats", method_daemon_stats},
    {"daemon.reload", method_daemon_reload},
    {"daemon.reexec", method_daemon_reexec},
    {"daemon.stop", method_daemon_stop},
    {"rpc.discover", method_rpc_discover},
};

call_handler dispatch_handler(const char *method) {
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
        if (streq(handlers[i].method, method))
            return handlers[i].handler;
    return NULL;
}

static int call_check(struct call *call, json_t *params) {
    struct schema_error error;
    if (schema_check_params(call->method, params, &error) == 0)
        return 0;
    snprintf(call->refusal.field, sizeof(call->refusal.field), "%s", error.field);
    snprintf(call->refusal.why, sizeof(call->refusal.why), "%s", error.why);
    return error.code == PROTO_UNSUPPORTED ? -EOPNOTSUPP : -EINVAL;
}

static int call_handle(struct call *call, json_t *params, json_t **ret_result) {
    struct session *session = call->session;
    int r = call_check(call, params);
    if (r < 0)
        return r;
    if (call->method->administrators && !session_administers(session)) {
        snprintf(call->refusal.what, sizeof(call->refusal.what),
                 "%s is for administrators: root, and whom the daemon's access setting names", call->method->name);
        return -EPERM;
    }
    if (session_fill(session) || call_is_over(call)) {
        call->refusal.limit = "owner_queued_bytes";
        return -EUSERS;
    }
    call->refusal.limit = session_may_hold(session, 0);
    if (call->refusal.limit)
        return -EUSERS;
    schema_drop_nulls(call->method, params);
    return dispatch_handler(call->method->name)(call, params, ret_result);
}

static void dispatch_request(struct session *session, const json_t *value, struct batch *batch) {
    struct request request;
    message_request(value, &request);
    session->control->stats.requests++;
    struct call *call = calloc(1, sizeof(*call));
    if (!call) {
        session_send(session, NULL);
        return;
    }
    call->session = session;
    session_hold(session, 1);
    session->owner->requests++;
    call->batch = batch;
    // What is no request at all is answered with id null; a notification never.
    bool answered = request.id || request.error == PROTO_INVALID_REQUEST;
    call->id = answered ? json_incref(request.id ? request.id : json_null()) : NULL;
    if (json_is_real(call->id) && json_real_value(call->id) == (double)(json_int_t)json_real_value(call->id)) {
        json_int_t id = (json_int_t)json_real_value(call->id);
        json_decref(call->id);
        call->id = json_integer(id);
    }
    call_hold(call);
    if (request.error == PROTO_INVALID_PARAMS) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "params");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "%s", request.why);
        call_refuse(call, -EINVAL);
        return;
    }
    if (request.error) {
        call_error(call, request.error, request.why);
        return;
    }
    call->method = proto_method_find(request.method);
    if (!call->method) {
        char what[120];
        snprintf(what, sizeof(what), "no method %.*s",
                 (int)bytes_cut(request.method, MIN(strlen(request.method), (size_t)80)), request.method);
        call_error(call, PROTO_METHOD_NOT_FOUND, what);
        return;
    }
    json_t *params = request.params ? json_incref(request.params) : json_object();
    json_t *result = NULL;
    int r = params ? call_handle(call, params, &result) : -ENOMEM;
    json_decref(params);
    if (r < 0)
        call_refuse(call, r);
    else if (r != CALL_LATER)
        call_answer(call, result);
    archive_release(session->control);
}

static void dispatch_refuse(struct session *session, int code, const char *why) {
    json_t *message = message_error(NULL, code, why, NULL);
    session_send(session, message);
    json_decref(message);
}

static void rest_leave(struct session *session) {
    DL_DELETE2(session->control->unfinished, session, rest.prev, rest.next_session);
    session->owner->unfinished--;
}

// What is left of its batch, for as long as its user has something of this turn; one member in any case. Among those that go on
// it stands behind the others.
static void rest_run(struct session *session, bool to_the_end) {
    size_t count = json_array_size(session->rest.members);
    bool more = true;
    if (session->rest.next > 0)
        rest_leave(session);
    for (bool first = true; more && (first || to_the_end || session_has_turn(session)); first = false) {
        double since = now_mono();
        const json_t *member = json_array_get(session->rest.members, session->rest.next++);
        more = session->rest.next < count; // the last one's answer may be the batch's end
        dispatch_request(session, member, session->rest.batch);
        session_worked(session, since);
    }
    if (more) {
        DL_APPEND2(session->control->unfinished, session, rest.prev, rest.next_session);
        session->owner->unfinished++;
    } else {
        json_decref(TAKE_PTR(session->rest.members));
    }
    session_read(session);
}

static void dispatch_batch(struct session *session, const json_t *value) {
    size_t count = json_array_size(value);
    if (count == 0 || count > PROTO_BATCH_MAX) {
        dispatch_refuse(session, PROTO_INVALID_REQUEST, count ? "a batch has at most 256 requests" : "an empty batch");
        return;
    }
    struct batch *batch = batch_new(session, count);
    if (!batch) {
        session_send(session, NULL);
        return;
    }
    session->rest.members = json_incref((json_t *)(uintptr_t)value);
    session->rest.next = 0;
    session->rest.batch = batch;
    rest_run(session, false);
}

void dispatch_go_on(struct control *control) {
    const struct session *last = control->unfinished ? control->unfinished->rest.prev : NULL;
    struct session *next;
    for (struct session *session = control->unfinished; session; session = next) {
        next = session == last ? NULL : session->rest.next_session;
        if (session->closing)
            dispatch_end(session);
        else
            rest_run(session, false); // one member in any case, whatever their other connections ask for
    }
    if (control->unfinished)
        ev_idle_start(control->loop, &control->again);
}

void dispatch_finish(struct control *control) {
    while (control->unfinished)
        rest_run(control->unfinished, true);
}

void dispatch_end(struct session *session) {
    if (!session->rest.members)
        return;
    size_t left = json_array_size(session->rest.members) - session->rest.next;
    rest_leave(session);
    batch_drop(session->rest.batch, left);
    json_decref(TAKE_PTR(session->rest.members));
}

void dispatch_value(struct session *session, json_t *value) {
    if (json_is_array(value))
        dispatch_batch(session, value);
    else
        dispatch_request(session, value, NULL);
    json_decref(value);
}

void dispatch_line(struct session *session, const char *line, size_t size) {
    if (session->closing)
        return;
    json_t *value = NULL;
    char why[200];
    int code = message_parse(line, size, &value, why);
    if (code != 0)
        dispatch_refuse(session, code, why);
    else if (admission_park(session, value))
        json_decref(value);
    else
        dispatch_value(session, value);
}
