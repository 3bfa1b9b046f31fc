// Calls that wait for jobs.
#include "daemon/control/wait.h"

#include <utlist.h>

#include "common/util.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"

struct wait_job {
    struct watch watch;
    struct wait *wait;
    bool there; // it has come as far as is waited for
};

struct wait {
    struct call *call; // owned
    struct wait_spec spec;
    struct ev_timer limit;
    size_t missing;
    bool matched, ready, follower_pending;
    struct wait *prev, *next; // of the session's waits, or its ready ones
    size_t count;
    struct wait_job jobs[];
};

static void wait_settle(struct wait *wait) {
    bool done = wait->missing == 0 || (wait->spec.any && wait->missing < wait->count) || wait->matched;
    if (!done || wait->ready || wait->follower_pending)
        return;
    struct session *session = wait->call->session;
    wait->ready = true;
    DL_DELETE(session->waits, wait);
    DL_APPEND(session->ready, wait);
    session_wake(session);
}

static void on_limit(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct wait *wait = timer->data;
    struct session *session = wait->call->session;
    if (wait->ready)
        return;
    wait->ready = true;
    DL_DELETE(session->waits, wait);
    DL_APPEND(session->ready, wait);
    session_wake(session);
}

static void wait_notify(struct watch *watch, enum watch_event event, const struct piece *piece) {
    struct wait_job *wj = container_of(watch, struct wait_job, watch);
    struct wait *wait = wj->wait;
    if (event == WATCH_OUTPUT && wait->spec.matcher && !wait->matched)
        wait->matched = matcher_feed(wait->spec.matcher, piece->stream, piece->offset, piece->bytes, piece->size);
    bool there = event == WATCH_FINAL || (event == WATCH_STARTED && wait->spec.started);
    if (there && !wj->there) {
        wj->there = true;
        wait->missing--;
    }
    if (there || wait->matched)
        wait_settle(wait);
}

static bool job_is_there(const struct wait_spec *spec, const struct job *job) {
    return job_is_final(job) || (spec->started && (job->life.state == LIFE_RUNNING || job->life.state == LIFE_ENDED));
}

static void wait_free(struct wait *wait) {
    struct session *session = wait->call->session;
    ev_timer_stop(session->control->loop, &wait->limit);
    for (size_t i = 0; i < wait->count; i++)
        watch_end(&wait->jobs[i].watch, session->control->runner);
    if (wait->ready)
        DL_DELETE(session->ready, wait);
    else
        DL_DELETE(session->waits, wait);
    matcher_free(wait->spec.matcher);
    free(wait);
}

int wait_new(struct call *call, struct job *const *jobs, size_t count, const struct wait_spec *spec) {
    struct wait *wait = calloc(1, sizeof(*wait) + count * sizeof(wait->jobs[0]));
    if (!wait)
        return -ENOMEM;
    struct session *session = call->session;
    wait->call = call;
    wait->spec = *spec;
    wait->count = wait->missing = count;
    ev_timer_init(&wait->limit, on_limit, MAX(spec->limit, 0), 0);
    wait->limit.data = wait;
    DL_APPEND(session->waits, wait);
    for (size_t i = 0; i < count; i++) {
        struct wait_job *wj = &wait->jobs[i];
        *wj = (struct wait_job){.wait = wait, .watch = {.notify = wait_notify}};
        if (watch_begin(&wj->watch, jobs[i]) < 0) {
            wait->spec.matcher = NULL;
            wait_free(wait);
            return -ENOMEM;
        }
        wj->there = job_is_there(spec, jobs[i]);
        wait->missing -= wj->there;
    }
    if (spec->matcher)
        wait->matched = matcher_scan(spec->matcher, jobs[0]);
    if (spec->limit >= 0)
        ev_timer_start(session->control->loop, &wait->limit);
    wait_settle(wait);
    return CALL_LATER;
}

struct wait *wait_last(struct session *session) {
    return session->waits ? session->waits->prev : NULL;
}

void wait_for_follower(struct wait *wait, bool pending) {
    wait->follower_pending = pending;
    wait_settle(wait);
}

static json_t *wait_result(const struct wait *wait) {
    double now = now_mono();
    struct control *control = wait->call->session->control;
    if (wait->spec.one)
        return record_answer(control, wait->jobs[0].watch.job, wait->spec.inline_bytes, now);
    json_t *jobs = json_array();
    for (size_t i = 0; i < wait->count; i++)
        json_array_append_new(jobs, record_job(control, wait->jobs[i].watch.job, wait->spec.inline_bytes, now));
    bool done = wait->missing == 0 || (wait->spec.any && wait->missing < wait->count) || wait->matched;
    return json_pack("{s:b,s:b,s:o}", "done", done, "matched", wait->matched, "jobs", jobs);
}

void wait_answer(struct wait *wait) {
    struct call *call = wait->call;
    json_t *result = call->id ? wait_result(wait) : json_null();
    wait_free(wait);
    call_answer(call, result);
}

void wait_drop(struct wait *wait) {
    struct call *call = wait->call;
    wait_free(wait);
    call_drop(call);
}
