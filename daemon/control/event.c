// Events and subscriptions.
#include "daemon/control/event.h"

#include <math.h>
#include <utlist.h>

#include "common/message.h"
#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/keeping.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"

const char *const event_types[] = {"job.queued",    "job.started",     "job.ready",
                                   "job.stopping",  "job.restarting",  "job.final",
                                   "job.forgotten", "daemon.stopping", NULL};

struct subscription {
    struct session *session; // borrowed; frees it
    int64_t id;
    int64_t next; // the number to look at next
    struct event_filter filter;
    struct kept_call *kept; // or NULL: its session is busy meanwhile
    struct subscription *prev, *next_one;
};

// Event number seq stands at seq % KEPT_EVENTS; kept are those from first_event to last_event.
static struct kept_event *event_at(const struct control *control, int64_t seq) {
    return &control->kept->head->events[(size_t)seq % KEPT_EVENTS];
}

int64_t events_last(const struct control *control) {
    return control->kept->head->last_event;
}

// Whether the worker before us has told it, and died before it could note so.
static bool was_told(const struct control *control, enum event_type type, const struct job *job) {
    const struct kept_head *head = control->kept->head;
    for (int64_t seq = head->last_event; job && seq >= head->first_event; seq--)
        if (event_at(control, seq)->job == job->id && event_at(control, seq)->type == (int)type)
            return true;
    return false;
}

static void event_add(struct control *control, enum event_type type, int64_t id, uid_t owner) {
    struct kept_head *head = control->kept->head;
    int64_t seq = head->last_event + 1;
    if (seq - head->first_event >= KEPT_EVENTS)
        head->first_event = seq - KEPT_EVENTS + 1;
    *event_at(control, seq) = (struct kept_event){.job = id, .at = now_wall(), .owner = owner, .type = (int)type};
    __atomic_store_n(&head->last_event, seq, __ATOMIC_RELEASE);
    for (struct session *session = control->sessions; session; session = session->next)
        if (session->subscriptions)
            session_wake(session);
}

void event_tell(struct control *control, enum event_type type, const struct job *job) {
    if (control->recovering && was_told(control, type, job))
        return;
    event_add(control, type, job ? job->id : 0, job ? job->owner : 0);
}

void event_tell_gone(struct control *control, int64_t id, uid_t owner) {
    event_add(control, EVENT_FORGOTTEN, id, owner);
}

static void subscription_keep(struct subscription *s) {
    struct session *session = s->session;
    json_t *more = json_object();
    json_t *jobs = s->filter.jobs ? json_array() : NULL;
    for (size_t i = 0; jobs && i < s->filter.job_count; i++)
        json_array_append_new(jobs, json_integer(s->filter.jobs[i]));
    if (jobs)
        json_object_set_new(more, "jobs", jobs);
    s->kept = keep_call(session, KEPT_SUBSCRIPTION, NULL, more);
    if (!s->kept)
        return;
    s->kept->subscription = s->id;
    s->kept->mask = s->filter.types;
    s->kept->next_event = s->next;
    session->kept->last_subscription = session->last_subscription;
}

struct subscription *subscription_new(struct session *session, int64_t since, const struct event_filter *filter) {
    struct subscription *s = calloc(1, sizeof(*s));
    if (!s) {
        free(filter->jobs);
        return NULL;
    }
    *s = (struct subscription){
        .session = session, .id = ++session->last_subscription, .next = since + 1, .filter = *filter};
    session_hold(session, 1 + (int64_t)filter->job_count);
    DL_APPEND2(session->subscriptions, s, prev, next_one);
    subscription_keep(s);
    session_wake(session);
    return s;
}

int subscription_resume(struct session *session, struct kept_call *record, json_t *more) {
    struct subscription *s = calloc(1, sizeof(*s));
    const json_t *jobs = json_object_get(more, "jobs");
    struct event_filter filter = {.types = record->mask, .job_count = json_array_size(jobs)};
    int64_t *ids = jobs ? calloc(filter.job_count + 1, sizeof(int64_t)) : NULL;
    if (!s || (jobs && !ids)) {
        free(ids);
        free(s);
        return -ENOMEM;
    }
    filter.jobs = ids;
    for (size_t i = 0; ids && i < filter.job_count; i++)
        ids[i] = json_integer_value(json_array_get(jobs, i));
    *s = (struct subscription){
        .session = session, .id = record->subscription, .next = record->next_event, .filter = filter, .kept = record};
    session_hold(session, 1 + (int64_t)filter.job_count);
    DL_APPEND2(session->subscriptions, s, prev, next_one);
    return 0;
}

static void aside_leave(struct session *session) {
    if (!session->is_aside)
        return;
    session->is_aside = false;
    DL_DELETE2(session->control->aside, session, prev_aside, next_aside);
}

void subscription_free(struct subscription *s) {
    DL_DELETE2(s->session->subscriptions, s, prev, next_one);
    keep_call_end(s->session, s->kept, false);
    session_hold(s->session, -1 - (int64_t)s->filter.job_count);
    if (!s->session->subscriptions)
        aside_leave(s->session);
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

static bool subscription_wants(const struct subscription *s, const struct kept_event *event) {
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
static json_t *event_job(struct control *control, const struct kept_event *event) {
    struct job *job = event->job ? registry_find(control->registry, event->job) : NULL;
    if (!job && event->job)
        job = archive_find(control, event->job, HISTORY_ANYBODY);
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

static void subscription_send_event(struct subscription *s, const struct kept_event *event) {
    struct control *control = s->session->control;
    json_t *id = event->job ? json_integer(event->job) : json_null();
    subscription_send(s, json_pack("{s:I,s:I,s:s,s:f,s:o,s:o}", "subscription", (json_int_t)s->id, "seq",
                                   (json_int_t)s->next, "type", event_types[event->type], "at",
                                   round(event->at * 1e6) / 1e6, "id", id, "job", event_job(control, event)));
    archive_release(control);
}

static void subscription_send_gap(struct subscription *s, int64_t to) {
    subscription_send(s, json_pack("{s:I,s:I,s:s,s:f,s:o,s:o,s:I,s:I}", "subscription", (json_int_t)s->id, "seq",
                                   (json_int_t)to, "type", "gap", "at", round(now_wall() * 1e6) / 1e6, "id",
                                   json_null(), "job", json_null(), "from", (json_int_t)s->next, "to", (json_int_t)to));
    s->next = to + 1;
    if (s->kept)
        s->kept->next_event = s->next;
}

enum pumped { PUMPED_ALL, PUMPED_TURN, PUMPED_OVER };

// The next event of a subscription. One in each turn is told in any case, lest a user's requests keep their events away.
static enum pumped subscription_step(struct subscription *s) {
    struct session *session = s->session;
    const struct kept_head *head = session->control->kept->head;
    uint64_t turn = stream_host_turn(session->control->streams);
    if (!session_has_turn(session) && session->owner->told_turn == turn)
        return PUMPED_TURN;
    double since = now_mono();
    bool is_gap = s->next < head->first_event;
    const struct kept_event *event = event_at(session->control, s->next);
    bool wanted = is_gap || subscription_wants(s, event);
    if (wanted && session_others_are_over(session))
        return PUMPED_OVER;
    if (is_gap) {
        subscription_send_gap(s, head->first_event - 1);
    } else {
        if (wanted)
            subscription_send_event(s, event);
        s->next++;
        if (s->kept)
            s->kept->next_event = s->next;
    }
    session->owner->told_turn = turn;
    session_worked(session, since);
    return PUMPED_ALL;
}

// Whoever goes without its turn is the next to have it: those that had it stand behind.
static enum pumped pump(struct session *session) {
    int64_t last = session->control->kept->head->last_event;
    enum pumped pumped = PUMPED_ALL;
    bool had = false;
    struct subscription *s;
    DL_FOREACH2(session->subscriptions, s, next_one) {
        while (pumped == PUMPED_ALL && s->next <= last && !session_congested(session)) {
            pumped = subscription_step(s);
            had |= pumped == PUMPED_ALL;
        }
    }
    if (had || pumped == PUMPED_ALL)
        aside_leave(session);
    if (pumped != PUMPED_ALL && !session->is_aside) {
        session->is_aside = true;
        DL_APPEND2(session->control->aside, session, prev_aside, next_aside);
    }
    return pumped;
}

void subscriptions_pump(struct session *session) {
    pump(session);
}

void subscriptions_go_on(struct control *control) {
    const struct session *last = control->aside ? control->aside->prev_aside : NULL;
    const struct owner *over = NULL; // lest each of many connections sums up all of them
    struct session *next;
    for (struct session *session = control->aside; session; session = next) {
        next = session == last ? NULL : session->next_aside;
        if (session->owner == over)
            continue;
        enum pumped pumped = session->identity ? pump(session) : PUMPED_ALL;
        if (!session->identity)
            aside_leave(session); // it is woken with it
        if (pumped == PUMPED_OVER)
            over = session->owner;
        if (pumped == PUMPED_TURN)
            ev_idle_start(control->loop, &control->again);
    }
}

void events_pump(struct control *control) {
    for (struct session *session = control->sessions; session; session = session->next)
        if (session->subscriptions && session->identity)
            subscriptions_pump(session);
}
