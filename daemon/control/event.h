// event: what happened to jobs, told to those who subscribed. The last ones are kept for who comes late.
//
// An event costs a few bytes until somebody is told: what the job looked like is made then, from the job as it is,
// with what came after the event taken back. Of a job that was forgotten meanwhile only its id is left.
#pragma once

#include <jansson.h>

#include "daemon/control/control.h"

enum event_type {
    EVENT_QUEUED,
    EVENT_STARTED,
    EVENT_READY,
    EVENT_STOPPING,
    EVENT_RESTARTING,
    EVENT_FINAL,
    EVENT_FORGOTTEN,
    EVENT_DAEMON_STOPPING,
    EVENT_TYPE_COUNT,
};
extern const char *const event_types[]; // by their numbers, NULL at the end

struct event_filter {
    unsigned types; // bits of enum event_type
    int64_t *jobs;  // owned; NULL: all
    size_t job_count;
};

// Whether the filter is for this job.
bool event_filter_names(const struct event_filter *filter, int64_t job);

int64_t events_last(const struct control *control); // 0: none yet
// `job` NULL: of the daemon. Wakes the subscribers.
void event_tell(struct control *control, enum event_type type, const struct job *job);

// That a job was forgotten of which only this is known.
void event_tell_gone(struct control *control, int64_t id, uid_t owner);

struct session;
struct subscription;
// Events after `since`. Takes the filter's jobs over. NULL when memory is out.
struct subscription *subscription_new(struct session *session, int64_t since, const struct event_filter *filter);
// One of the worker before us. Returns 0 or a negative errno.
struct kept_call;
int subscription_resume(struct session *session, struct kept_call *record, json_t *more);
void subscription_free(struct subscription *subscription);
struct subscription *subscription_find(struct session *session, int64_t id);
int64_t subscription_id(const struct subscription *subscription);
// Sends what there is until the session is congested, or its user has had their part of this turn, or too much is unsent
// to their connections: then it is set aside.
void subscriptions_pump(struct session *session);
void subscriptions_go_on(struct control *control); // those that were set aside, when the streams have been flushed
void events_pump(struct control *control);         // the same to all
