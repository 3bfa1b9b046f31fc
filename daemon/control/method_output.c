// Output by offset, and following it.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/record.h"
#include "daemon/control/chunks.h"
#include "daemon/control/follower.h"
#include "daemon/control/methods.h"
#include "daemon/control/session.h"
#include "daemon/control/streams.h"
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

// Whether descriptors may come with the answer. The stored stream of a live job is its lease holder's to read.
static int fd_check(struct call *call, struct job *job) {
    const struct audience *audience = job->audience;
    if (call->batch) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "fd");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "descriptors do not come with batches");
        return -EINVAL;
    }
    if (job_is_final(job) || (audience && audience->lease == call->session))
        return 0;
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "fd: this connection does not hold the lease of live job %lld: follow it by chunks", (long long)job->id);
    return -EBUSY;
}

static int fd_refuse(struct call *call, int error, int count) {
    struct refusal *refusal = &call->refusal;
    if (error == -EMFILE)
        refusal->limit = session_descriptors_limit(call->session, count);
    if (error == -EUSERS)
        refusal->limit = "owner_lingering_outputs";
    if (error == -EDQUOT || error == -ENOSPC)
        refusal->limit = error == -EDQUOT ? "owner_output_bytes" : "output_bytes";
    if (error == -EFBIG || error == -EOPNOTSUPP)
        snprintf(refusal->field, sizeof(refusal->field), "fd");
    snprintf(refusal->what, sizeof(refusal->what),
             "fd: no descriptors of this output are to be had: read it by chunks");
    return error == -EFBIG ? -EOPNOTSUPP : error == -ENOSPC ? -EDQUOT : error;
}

static int output_follow(struct call *call, struct job *job, const struct cursor *cursor, const json_t *params,
                         json_t *result) {
    bool hold = (json_is_true(json_object_get(params, "hold")) || cursor->bare) && !job_is_final(job);
    struct follower *follower = follower_new(call->session, job, cursor, call->id, hold, NULL);
    if (!follower)
        return -ENOMEM;
    if (cursor->bare)
        follower_by_descriptor(follower);
    json_object_set_new(result, "subscription", json_integer(follower_subscription(follower)));
    return 0;
}

// What is kept of a final job is all in the descriptors; what there is and will be of a live one is told by the follow.
static int output_by_descriptor(struct call *call, struct job *job, struct cursor *cursor, json_t **ret_result) {
    json_t *where = NULL;
    int r = fd_check(call, job);
    if (r < 0)
        return r;
    bool final = job_is_final(job);
    r = final ? streams_open_final(call->session, job, cursor->mask, call->fds, &where)
              : streams_open_live(call->session, job, cursor->mask, call->fds, &where);
    if (r < 0)
        return fd_refuse(call, r, __builtin_popcount(cursor->mask));
    call->fd_count = r;
    cursor->bare = true;
    for (int s = 0; final && s < STREAM_COUNT; s++)
        cursor->next[s] = runner_spool(job, s)->total;
    json_t *result = chunks_build(job, cursor, 0);
    record_set(&result, final ? "extents" : "layout", where);
    *ret_result = result;
    return result ? 0 : -ENOMEM;
}

int method_job_output(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    bool follow = json_is_true(json_object_get(params, "follow"));
    call->refusal.limit = session_may_hold(call->session, follow);
    int r = call->refusal.limit ? -EUSERS : target_one(call, params, &job);
    if (r == 0)
        r = hold_check(call, job, params);
    if (r < 0)
        return r;
    struct cursor cursor = {0};
    cursor_decode(&cursor, job, params);
    bool by_descriptor = json_is_true(json_object_get(params, "fd"));
    struct follower *reading = follow || by_descriptor ? NULL : follower_reading(call->session, job);
    if (reading) {
        follower_acknowledge(reading, cursor.next);
        cursor.bare = true;
    }
    const json_t *limit = json_object_get(params, "limit_bytes");
    json_t *result = NULL;
    if (by_descriptor)
        r = output_by_descriptor(call, job, &cursor, &result);
    else
        result = chunks_build(job, &cursor, limit ? (size_t)proto_int(limit) : 65536);
    if (r == 0 && result && follow && !chunks_eof(job, &cursor))
        r = output_follow(call, job, &cursor, params, result);
    if (r < 0)
        json_decref(result);
    else
        *ret_result = result;
    return r < 0 ? r : result ? 0 : -ENOMEM;
}
