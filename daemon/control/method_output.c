// Output by offset, and following it.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/chunks.h"
#include "daemon/control/follower.h"
#include "daemon/control/methods.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"

static void cursor_decode(struct cursor *cursor, const struct job *job, const json_t *params) {
    static const char *const names[] = {"stdout", "stderr"};
    const char *stream = json_string_value(json_object_get(params, "stream"));
    const char *encoding = json_string_value(json_object_get(params, "encoding"));
    const json_t *offset = json_object_get(params, "offset");
    cursor->mask = !stream || streq(stream, "both") ? 3 : streq(stream, "stdout") ? 1 : 2;
    cursor->base64 = encoding && streq(encoding, "base64");
    for (int s = 0; s < STREAM_COUNT; s++) {
        const json_t *value = json_is_object(offset) ? json_object_get(offset, names[s]) : offset;
        cursor->next[s] = value ? cursor_offset(job, s, proto_int(value)) : 0;
    }
}

static int hold_check(struct call *call, struct job *job, const json_t *params) {
    const struct audience *audience = job->audience;
    if (!json_is_true(json_object_get(params, "hold")))
        return 0;
    if (!json_is_true(json_object_get(params, "follow"))) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "hold");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "needs follow");
        return -EINVAL;
    }
    if (job_is_final(job) || (audience && audience->lease == call->session))
        return 0;
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "hold: this connection does not hold the lease of job %lld", (long long)job->id);
    return -EBUSY;
}

int method_job_output(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    int r = target_one(call, params, &job);
    if (r == 0)
        r = hold_check(call, job, params);
    if (r < 0)
        return r;
    struct cursor cursor = {0};
    cursor_decode(&cursor, job, params);
    const json_t *limit = json_object_get(params, "limit_bytes");
    json_t *result = chunks_build(job, &cursor, limit ? (size_t)proto_int(limit) : 65536);
    bool follow = json_is_true(json_object_get(params, "follow"));
    if (result && follow && !chunks_eof(job, &cursor)) {
        bool hold = json_is_true(json_object_get(params, "hold")) && !job_is_final(job);
        struct follower *follower = follower_new(call->session, job, &cursor, call->id, hold, NULL);
        if (!follower) {
            json_decref(result);
            return -ENOMEM;
        }
        json_object_set_new(result, "subscription", json_integer(follower_subscription(follower)));
    }
    *ret_result = result;
    return result ? 0 : -ENOMEM;
}
