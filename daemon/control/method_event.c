// Subscribing to events, and ending a subscription.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/event.h"
#include "daemon/control/follower.h"
#include "daemon/control/methods.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"

static unsigned types_of(const json_t *params) {
    const json_t *types = json_object_get(params, "types");
    unsigned mask = 0;
    size_t i;
    json_t *type;
    json_array_foreach((json_t *)(uintptr_t)types, i, type) {
        for (int t = 0; t < EVENT_TYPE_COUNT; t++)
            if (streq(event_types[t], json_string_value(type)))
                mask |= 1u << t;
    }
    return types ? mask : ~0u;
}

static int filter_of(const json_t *params, struct event_filter *ret_filter) {
    const json_t *jobs = json_object_get(params, "jobs");
    struct event_filter filter = {.types = types_of(params), .job_count = json_array_size(jobs)};
    if (jobs) {
        filter.jobs = calloc(filter.job_count + 1, sizeof(int64_t));
        if (!filter.jobs)
            return -ENOMEM;
    }
    for (size_t i = 0; filter.jobs && i < filter.job_count; i++)
        filter.jobs[i] = proto_int(json_array_get(jobs, i));
    *ret_filter = filter;
    return 0;
}

// Live jobs that the caller sees and the filter names. Returns 0, -ENOMEM, or -EUSERS with the refusal filled.
static int snapshot(struct call *call, const struct event_filter *filter, json_t **ret_jobs) {
    const struct session *session = call->session;
    json_t *jobs = json_array();
    double now = now_mono();
    size_t weight = 0;
    for (struct job *job = registry_newest(session->control->registry); jobs && job; job = job->older) {
        if (job_is_final(job) || !session_sees(session, job) || !event_filter_names(filter, job->id))
            continue;
        weight += record_weight(job, RECORDS_MOST + 1);
        if (weight > RECORDS_MOST && json_array_size(jobs) > 0) {
            json_decref(jobs);
            call->refusal.limit = "snapshot_bytes";
            snprintf(call->refusal.what, sizeof(call->refusal.what),
                     "the records of the live jobs are more than %d MiB: subscribe without a snapshot, and list them "
                     "by job.list",
                     RECORDS_MOST >> 20);
            return -EUSERS;
        }
        record_add(&jobs, record_job(session->control, job, -1, now));
    }
    *ret_jobs = jobs;
    return jobs ? 0 : -ENOMEM;
}

int method_event_subscribe(struct call *call, json_t *params, json_t **ret_result) {
    struct session *session = call->session;
    int64_t last = events_last(session->control), since = last;
    const json_t *value = json_object_get(params, "since");
    if (value && (since = proto_int(value)) > last) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "since");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "is not yet: the last event is %lld", (long long)last);
        return -EINVAL;
    }
    // The present call, which counts now, is left for the one that ends it.
    call->refusal.limit = session_may_hold(session, 1 + json_array_size(json_object_get(params, "jobs")));
    if (call->refusal.limit)
        return -EUSERS;
    struct event_filter filter;
    int r = filter_of(params, &filter);
    if (r < 0)
        return r;
    json_t *jobs = NULL;
    if (json_is_true(json_object_get(params, "snapshot")))
        r = snapshot(call, &filter, &jobs);
    if (r < 0) {
        free(filter.jobs);
        return r;
    }
    json_t *result = json_pack("{s:I,s:o*}", "seq", (json_int_t)since, "jobs", jobs);
    struct subscription *subscription = result ? subscription_new(session, since, &filter) : NULL;
    if (!result)
        free(filter.jobs);
    if (!subscription) {
        json_decref(result);
        return -ENOMEM;
    }
    json_object_set_new(result, "subscription", json_integer(subscription_id(subscription)));
    *ret_result = result;
    return 0;
}

int method_event_unsubscribe(struct call *call, json_t *params, json_t **ret_result) {
    int64_t id = proto_int(json_object_get(params, "subscription"));
    struct follower *follower = follower_find(call->session, id);
    struct subscription *subscription = subscription_find(call->session, id);
    if (!follower && !subscription) {
        snprintf(call->refusal.what, sizeof(call->refusal.what), "no subscription %lld", (long long)id);
        return -ENOENT;
    }
    if (follower)
        follower_free(follower);
    else
        subscription_free(subscription);
    *ret_result = json_object();
    return 0;
}
