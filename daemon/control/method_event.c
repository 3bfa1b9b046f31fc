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

// Live jobs that the caller sees and the filter names.
static json_t *snapshot(const struct session *session, const struct event_filter *filter) {
    json_t *jobs = json_array();
    double now = now_mono();
    for (struct job *job = registry_newest(session->control->registry); job; job = job->older) {
        if (!job_is_final(job) && event_filter_names(filter, job->id) && session_sees(session, job))
            record_add(&jobs, record_job(session->control, job, -1, now));
    }
    return jobs;
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
    json_t *result = json_pack("{s:I}", "seq", (json_int_t)since);
    bool whole = !result || !json_is_true(json_object_get(params, "snapshot")) ||
                 json_object_set_new(result, "jobs", snapshot(session, &filter)) == 0;
    struct subscription *subscription = whole ? subscription_new(session, since, &filter) : NULL;
    if (!whole)
        free(filter.jobs);
    if (!result || !subscription) {
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
