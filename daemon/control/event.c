// Events and subscriptions.
#include "daemon/control/event.h"

#include <math.h>
#include <utlist.h>

#include "common/message.h"
#include "common/util.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"

enum { EVENTS_MAX = 10000, EVENTS_FIRST = 64 };

const char *const event_types[] = {"job.queued",    "job.started",     "job.ready",
                                   "job.stopping",  "job.restarting",  "job.final",
                                   "job.forgotten", "daemon.stopping", NULL};

struct event {
    int64_t job; // 0: none
    double at;
    uid_t owner;
    enum event_type type;
};

struct events {
    struct event *ring; // owned: event number seq stands at seq % capacity
    size_t capacity;
    int64_t first, last; // numbers kept; none: first is last + 1
};

struct subscription {
    struct session *session; // borrowed; frees it
    int64_t id;
    int64_t next; // the number to look at next
    struct event_filter filter;
    struct subscription *prev, *next_one;
};

struct events *events_new(void) {
    struct events *events = calloc(1, sizeof(*events));
    if (events)
        events->first = 1;
    return events;
}

void events_free(struct events *events) {
    if (!events)
        return;
    free(events->ring);
    free(events);
}

int64_t events_last(const struct events *events) {
    return events->last;
}

// Room for one more: the ring grows up to its cap, then the oldest goes.
static bool events_room(struct events *e) {
    size_t count = (size_t)(e->last - e->first + 1);
    if (count < e->capacity)
        return true;
    size_t want = MIN(MAX(e->capacity * 2, (size_t)EVENTS_FIRST), (size_t)EVENTS_MAX);
    struct event *ring = want > e->capacity ? calloc(want, sizeof(*ring)) : NULL;
    if (!ring) { // full, or memory is out
        e->first += e->capacity > 0;
        return e->capacity > 0;
    }
    for (int64_t seq = e->first; seq <= e->last; seq++)
        ring[(size_t)seq % want] = e->ring[(size_t)seq % e->capacity];
    free(e->ring);
    e->ring = ring;
    e->capacity = want;
    return true;
}

void event_tell(struct control *control, enum event_type type, const struct job *job) {
    struct events *e = control->events;
    if (!e)
        return; // all sessions are closed already
    bool kept = events_room(e);
    e->last++;
    if (kept)
        e->ring[(size_t)e->last % e->capacity] = (struct event){
            .job = job ? job->id : 0, .at = now_wall(), .owner = job ? job->owner : 0, .type = type};
    else
        e->first = e->last + 1; // lost, and told as a gap
    for (struct session *session = control->sessions; session; session = session->next)
        if (session->subscriptions)
            session_wake(session);
}

struct subscription *subscription_new(struct session *session, int64_t since, const struct event_filter *filter) {
    struct subscription *s = calloc(1, sizeof(*s));
    if (!s) {
        free(filter->jobs);
        return NULL;
    }
    *s = (struct subscription){
        .session = session, .id = ++session->last_subscription, .next = since + 1, .filter = *filter};
    DL_APPEND2(session->subscriptions, s, prev, next_one);
    session_wake(session);
    return s;
}

void subscription_free(struct subscription *s) {
    DL_DELETE2(s->session->subscriptions, s, prev, next_one);
    free(s->filter.jobs);
    free(s);
}

struct subscription *subscription_find(struct session *session, int64_t id) {
    struct subscription *s;
    DL_FOREACH2(session->subscriptions, s, next_one) {
        if (s->id == id)
            return s;
    }
    return NULL;
}

int64_t subscription_id(const struct subscription *subscription) {
    return subscription->id;
}

bool event_filter_names(const struct event_filter *filter, int64_t job) {
    for (size_t i = 0; filter->jobs && i < filter->job_count; i++)
        if (filter->jobs[i] == job)
            return true;
    return !filter->jobs;
}

static bool subscription_wants(const struct subscription *s, const struct event *event) {
    const struct session *session = s->session;
    if (!(s->filter.types & (1u << event->type)))
        return false;
    if (event->job == 0)
        return true;
    if (event->owner != session->uid && !session_administers(session))
        return false;
    return event_filter_names(&s->filter, event->job);
}

// The job as it was then: what has come since is taken back.
static json_t *event_job(const struct control *control, const struct event *event) {
    struct job *job = event->job ? registry_find(control->registry, event->job) : NULL;
    json_t *record = job ? record_job(control, job, -1, now_mono()) : NULL;
    if (!record)
        return json_null();
    if (event->type == EVENT_STARTED || event->type == EVENT_STOPPING) {
        json_object_set_new(record, "state", json_string(event->type == EVENT_STARTED ? "running" : "stopping"));
        json_object_set_new(record, "ended_at", json_null());
        json_object_set_new(record, "result", json_null());
    }
    return record;
}

static void subscription_send(struct subscription *s, json_t *params) {
    json_t *message = params ? message_notification("event", params) : NULL;
    session_send(s->session, message);
    json_decref(message);
}

static void subscription_send_event(struct subscription *s, const struct event *event) {
    const struct control *control = s->session->control;
    json_t *id = event->job ? json_integer(event->job) : json_null();
    subscription_send(s, json_pack("{s:I,s:I,s:s,s:f,s:o,s:o}", "subscription", (json_int_t)s->id, "seq",
                                   (json_int_t)s->next, "type", event_types[event->type], "at",
                                   round(event->at * 1e6) / 1e6, "id", id, "job", event_job(control, event)));
}

static void subscription_send_gap(struct subscription *s, int64_t to) {
    subscription_send(s, json_pack("{s:I,s:I,s:s,s:f,s:o,s:o,s:I,s:I}", "subscription", (json_int_t)s->id, "seq",
                                   (json_int_t)to, "type", "gap", "at", round(now_wall() * 1e6) / 1e6, "id",
                                   json_null(), "job", json_null(), "from", (json_int_t)s->next, "to", (json_int_t)to));
    s->next = to + 1;
}

void subscriptions_pump(struct session *session) {
    const struct events *e = session->control->events;
    struct subscription *s;
    DL_FOREACH2(session->subscriptions, s, next_one) {
        while (s->next <= e->last && !session_congested(session)) {
            if (s->next < e->first) {
                subscription_send_gap(s, e->first - 1);
                continue;
            }
            const struct event *event = &e->ring[(size_t)s->next % e->capacity];
            if (subscription_wants(s, event))
                subscription_send_event(s, event);
            s->next++;
        }
    }
}
