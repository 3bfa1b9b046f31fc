// Bytes for a job's stdin, and its terminal's size.
#include <stdio.h>
#include <utlist.h>

#include "common/bytes.h"
#include "common/proto.h"
#include "common/util.h"
#include "daemon/control/feed.h"
#include "daemon/control/keeping.h"
#include "daemon/control/methods.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"

struct feed {
    struct call *call; // owned
    struct input *input;
    struct feed *prev, *next; // of the session
};

static void feed_free(struct feed *feed) {
    keep_session_unkept(feed->call->session, -1);
    DL_DELETE(feed->call->session->feeds, feed);
    free(feed);
}

void feed_drop(struct feed *feed) {
    struct call *call = feed->call;
    input_forget(feed->input);
    feed_free(feed);
    call_drop(call);
}

static int input_closed(struct call *call, size_t taken) {
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "the job has ended, closed its stdin or was given its end: %zu bytes were taken", taken);
    call->refusal.accepted = (int64_t)taken;
    call->refusal.has_accepted = true;
    return -EBUSY;
}

static void on_over(struct input *input, int error, size_t taken, void *data) {
    struct feed *feed = data;
    struct call *call = feed->call;
    feed_free(feed);
    if (error < 0)
        call_refuse(call, input_closed(call, taken));
    else
        call_answer(call, json_pack("{s:I}", "accepted_bytes", (json_int_t)taken));
}

// The bytes of the params; none is none.
static int input_bytes(struct call *call, const json_t *params, char **ret_bytes, size_t *ret_size) {
    const json_t *data = json_object_get(params, "data");
    const char *encoding = json_string_value(json_object_get(params, "encoding"));
    if (data && encoding && streq(encoding, "base64") &&
        !bytes_base64_valid(json_string_value(data), json_string_length(data))) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "data");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "is not base64");
        return -EINVAL;
    }
    *ret_size = 0;
    *ret_bytes = data ? bytes_from_json(params, ret_size) : calloc(1, 1);
    return *ret_bytes ? 0 : -ENOMEM;
}

static int input_check(struct call *call, const struct job *job, const json_t *params) {
    if (!json_object_get(params, "data") && !json_is_true(json_object_get(params, "eof"))) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "data");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "is missing, and eof too");
        return -EINVAL;
    }
    if (spec_takes_input(&job->spec))
        return 0;
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "job %lld was started without \"stdin\": \"stream\" and without a pty", (long long)job->id);
    return -EBUSY;
}

int method_job_input(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    _cleanup_free_ char *bytes = NULL;
    size_t size = 0;
    int r = target_own(call, params, &job);
    if (r == 0)
        r = input_check(call, job, params);
    if (r == 0)
        r = input_bytes(call, params, &bytes, &size);
    if (r < 0)
        return r;
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return -ENOMEM;
    feed->call = call;
    r = runner_input(job, &bytes, size, json_is_true(json_object_get(params, "eof")), on_over, feed, &feed->input);
    if (r == 0) {
        DL_APPEND(call->session->feeds, feed);
        keep_session_unkept(call->session, 1);
        return CALL_LATER;
    }
    free(feed);
    if (r == -EPIPE)
        return input_closed(call, 0);
    if (r == -EUSERS)
        call->refusal.limit = "owner_queued_bytes";
    if (r == -EDQUOT) {
        call->refusal.limit = "input_bytes";
        snprintf(call->refusal.what, sizeof(call->refusal.what),
                 "more than 8 MiB wait for the job's stdin: wait for the answers to what was given");
    }
    return r;
}

int method_job_resize(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    int r = target_own(call, params, &job);
    if (r < 0)
        return r;
    r = runner_resize(job, (unsigned)proto_int(json_object_get(params, "rows")),
                      (unsigned)proto_int(json_object_get(params, "cols")));
    if (r == 0)
        *ret_result = json_object();
    else
        snprintf(call->refusal.what, sizeof(call->refusal.what), "job %lld has %s", (long long)job->id,
                 r == -ENOTTY ? "no terminal: it was started without a pty" : "ended");
    return r == -ENOTTY ? -EBUSY : r;
}
