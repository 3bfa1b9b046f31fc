// Calls over a stream of lines.
#include "client/call.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/message.h"
#include "common/stream.h"
#include "common/util.h"

struct call {
    struct ev_loop *loop;
    struct stream_host *host;
    struct stream *stream;
    const struct call_listener *listener; // borrowed
    void *data;
    int64_t last_id;
    bool is_lost;
    json_t *gathered; // owned: requests of a batch, or NULL
    const int *lent;  // borrowed, until the next request
    int lent_count;
    int64_t sync_id; // waited for by call_sync; 0: none
    json_t *sync_result;
    struct call_fault *sync_fault;
};

// A line of the daemon holds one page or record at most; beyond this it is no daemon.
static const struct stream_limits call_limits = {
    .line_max = (size_t)256 << 20, .queue_max = (size_t)256 << 20, .low_mark = 0, .patience = 1e9};

static void call_fault_from(const json_t *error, struct call_fault *ret_fault) {
    const json_t *data = json_object_get(error, "data");
    const char *name = json_string_value(json_object_get(data, "name"));
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *field = json_string_value(json_object_get(data, "field"));
    snprintf(ret_fault->field, sizeof(ret_fault->field), "%s", field ? field : "");
    ret_fault->code = (int)json_integer_value(json_object_get(error, "code"));
    snprintf(ret_fault->text, sizeof(ret_fault->text), "%s: %s", name ? name : "error", message ? message : "");
}

static void call_answer(struct call *call, int64_t id, json_t *message) {
    json_t *result = json_object_get(message, "result");
    struct call_fault fault = {0};
    if (!result)
        call_fault_from(json_object_get(message, "error"), &fault);
    if (call->sync_id != 0 && id == call->sync_id) {
        call->sync_id = 0;
        call->sync_result = json_incref(result);
        *call->sync_fault = fault;
        stream_read(call->stream, false); // what came behind it is told behind it
    } else if (call->listener) {
        call->listener->answer(id, result, &fault, call->data);
    }
}

// An error without an id is about the connection: nothing that was asked on it will be answered otherwise.
static int64_t answered_id(const struct call *call, const json_t *message) {
    const json_t *id = json_object_get(message, "id");
    if (json_is_integer(id))
        return json_integer_value(id);
    return call->sync_id ? call->sync_id : call->last_id;
}

static void on_line(struct stream *stream, const char *line, size_t size, void *data) {
    struct call *call = data;
    json_t *message = json_loadb(line, size, JSON_ALLOW_NUL, NULL), *member;
    size_t i;
    const char *method = json_string_value(json_object_get(message, "method"));
    if (method && call->listener)
        call->listener->notification(method, json_object_get(message, "params"), call->data);
    else if (json_is_object(message) && !method)
        call_answer(call, answered_id(call, message), message);
    json_array_foreach(message, i, member) {
        call_answer(call, json_integer_value(json_object_get(member, "id")), member);
    }
    json_decref(message);
}

// Whoever is refused at the door is told why, and may only learn of it by what can't be written any more. Nothing but that
// is taken here: what else waits may stand behind lines that were not looked at yet, and is asked for again.
static void last_words(struct call *call, struct stream *stream) {
    char text[4096];
    ssize_t n = recv(stream_fd(stream), text, sizeof(text), MSG_DONTWAIT);
    json_t *message = n > 0 ? json_loadb(text, (size_t)n, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (json_is_null(json_object_get(message, "id")) && json_object_get(message, "error"))
        call_answer(call, answered_id(call, message), message);
    json_decref(message);
}

static void on_closed(struct stream *stream, void *data) {
    struct call *call = data;
    if (!call->is_lost)
        last_words(call, stream);
    call->is_lost = true;
    ev_break(call->loop, EVBREAK_ONE); // where a write told, the turn would go on to wait, for nothing that could come
    if (call->listener)
        call->listener->lost(call->data);
}

static void on_overlong(struct stream *stream, void *data) {
    on_closed(stream, data);
}

static void on_drained(struct stream *stream, void *data) {
}

static const struct stream_listener call_stream_listener = {
    .line = on_line, .overlong = on_overlong, .drained = on_drained, .closed = on_closed};

int call_new(int fd, struct call **ret_call) {
    struct call *call = calloc(1, sizeof(*call));
    if (!call) {
        fd_close(fd);
        return -ENOMEM;
    }
    call->loop = ev_loop_new(EVFLAG_NOENV);
    int r = call->loop ? stream_host_new(call->loop, &call->host) : -ENOMEM;
    if (r < 0)
        fd_close(fd);
    else
        r = stream_new(call->host, fd, &call_stream_listener, &call_limits, call, &call->stream);
    if (r < 0) {
        call_free(call);
        return r;
    }
    *ret_call = call;
    return 0;
}

void call_free(struct call *call) {
    if (!call)
        return;
    stream_free(call->stream);
    stream_host_free(call->host);
    if (call->loop)
        ev_loop_destroy(call->loop);
    free(call);
}

int call_renew(struct call *call, int fd) {
    stream_free(TAKE_PTR(call->stream));
    int r = stream_new(call->host, fd, &call_stream_listener, &call_limits, call, &call->stream);
    call->is_lost = r < 0;
    return r;
}

bool call_is_lost(const struct call *call) {
    return call->is_lost;
}

struct ev_loop *call_loop(struct call *call) {
    return call->loop;
}

void call_listen(struct call *call, const struct call_listener *listener, void *data) {
    call->listener = listener;
    call->data = data;
}

void call_lend(struct call *call, const int *fds, int count) {
    call->lent = fds;
    call->lent_count = count;
}

struct ancillary call_take(struct call *call) {
    return stream_take(call->stream);
}

// One that can't be lent is missed by the daemon, which says so.
static void call_give(struct call *call, size_t at) {
    int fds[ANCILLARY_MAX], count = 0;
    while (count < call->lent_count && (fds[count] = fcntl(call->lent[count], F_DUPFD_CLOEXEC, 3)) >= 0)
        count++;
    call->lent_count = 0;
    if (count > 0 && stream_give(call->stream, at, fds, count) == 0)
        return;
    while (count > 0)
        close(fds[--count]);
}

static int call_send(struct call *call, json_t *request) {
    if (call->gathered)
        return json_array_append_new(call->gathered, request);
    size_t before = stream_queued(call->stream);
    int r = request ? message_append(stream_out(call->stream), request) : -1;
    if (r == 0 && call->lent_count > 0)
        call_give(call, before);
    stream_send(call->stream);
    json_decref(request);
    return r;
}

void call_gather(struct call *call) {
    call->gathered = json_array();
}

void call_together(struct call *call) {
    call_send(call, TAKE_PTR(call->gathered));
}

int64_t call_post(struct call *call, const char *method, json_t *params) {
    json_t *request = json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", (json_int_t)++call->last_id, "method",
                                method, "params", params);
    return call_send(call, request) < 0 ? 0 : call->last_id;
}

void call_notify(struct call *call, const char *method, json_t *params) {
    call_send(call, json_pack("{s:s,s:s,s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

int call_sync(struct call *call, const char *method, json_t *params, json_t **ret_result, struct call_fault *fault) {
    *fault = (struct call_fault){0};
    call->sync_fault = fault;
    call->sync_result = NULL;
    call->sync_id = call_post(call, method, params);
    if (call->sync_id == 0) {
        snprintf(fault->text, sizeof(fault->text), "can't be put into a request: it is not UTF-8, or memory is out");
        return -1;
    }
    while (call->sync_id != 0 && !call->is_lost)
        ev_run(call->loop, EVRUN_ONCE);
    call->sync_fault = NULL;
    stream_read(call->stream, true);
    if (call->sync_id != 0) {
        call->sync_id = 0;
        snprintf(fault->text, sizeof(fault->text), "supd closed the connection");
        return -1;
    }
    if (!call->sync_result)
        return -1;
    *ret_result = TAKE_PTR(call->sync_result);
    return 0;
}

void call_read(struct call *call, bool on) {
    stream_read(call->stream, on);
}
