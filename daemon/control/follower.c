// Following a job's output.
#include "daemon/control/follower.h"

#include <utlist.h>

#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/keeping.h"
#include "daemon/control/record.h"
#include "daemon/control/streams.h"
#include "daemon/control/wait.h"

enum { FOLLOWER_PIECE = 65536 };
#define LAG_SHARE 0.05 // of the loop's time
#define LAG_MOST 0.002 // seconds that can be saved up

struct follower {
    struct session *session; // borrowed; frees it
    struct watch watch;
    struct cursor cursor;
    json_t *request; // owned
    int64_t subscription;
    bool hold, tell_start, start_told, is_lagging;
    bool by_descriptor;
    int64_t taken[STREAM_COUNT]; // by_descriptor: acknowledged
    struct wait *wait;           // borrowed: ends after it, or is dropped after it
    struct kept_call *kept;      // or NULL: its session is busy meanwhile
    struct follower *prev, *next;
    struct follower *lag_prev, *lag_next; // of the control's
};

static void follower_lags(struct follower *follower);
static void follower_lags_no_more(struct follower *follower);

int64_t follower_subscription(const struct follower *follower) {
    return follower->subscription;
}

struct follower *follower_find(struct session *session, int64_t subscription) {
    struct follower *follower;
    DL_FOREACH(session->followers, follower) {
        if (follower->subscription == subscription)
            return follower;
    }
    return NULL;
}

static void follower_notify(struct watch *watch, enum watch_event event, const struct piece *piece);

// What no holder has taken is not to be dropped: the lowest of their offsets counts.
static void follower_set_hold(struct job *job, struct runner *runner, const struct follower *leaving) {
    const struct audience *audience = job->audience;
    for (int s = 0; s < STREAM_COUNT; s++) {
        int64_t lowest = INT64_MAX;
        struct watch *watch;
        DL_FOREACH(audience->watches, watch) {
            const struct follower *f = container_of(watch, struct follower, watch);
            if (watch->notify == follower_notify && f != leaving && f->hold && (f->cursor.mask & (1u << s)))
                lowest = MIN(lowest, f->by_descriptor ? f->taken[s] : f->cursor.next[s]);
        }
        runner_set_hold(runner, job, s, lowest);
    }
}

static void follower_notify(struct watch *watch, enum watch_event event, const struct piece *piece) {
    struct follower *follower = container_of(watch, struct follower, watch);
    if (follower->hold)
        session_wake(follower->session);
    else
        follower_lags(follower);
}

// What the next worker would go on from.
static void follower_keep(struct follower *follower) {
    struct kept_call *record = follower->kept;
    if (!record)
        return;
    record->hold = follower->hold;
    record->tell_start = follower->tell_start;
    record->start_told = follower->start_told;
    record->by_descriptor = follower->by_descriptor;
    record->bare = follower->cursor.bare;
    for (int s = 0; s < STREAM_COUNT; s++) {
        record->next[s] = follower->cursor.next[s];
        record->taken[s] = follower->taken[s];
    }
}

static void follower_keep_begin(struct follower *follower) {
    struct session *session = follower->session;
    struct kept_call *record = keep_call(session, KEPT_FOLLOW, follower->request, NULL);
    follower->kept = record;
    if (!record)
        return;
    record->job = follower->watch.job->id;
    record->subscription = follower->subscription;
    record->wait = follower->wait ? wait_serial(follower->wait) : 0;
    record->mask = follower->cursor.mask;
    record->base64 = follower->cursor.base64;
    session->kept->last_subscription = session->last_subscription;
    follower_keep(follower);
}

// As a call, whose id it keeps.
static void follower_account(const struct follower *follower, int sign) {
    session_hold(follower->session, sign);
    follower->session->owner->queued_bytes += sign * (int64_t)call_id_size(follower->request);
}

int follower_resume(struct session *session, struct kept_call *record, json_t *more) {
    struct job *job = registry_find(session->control->registry, record->job);
    if (!job)
        job = archive_find(session->control, record->job, HISTORY_ANYBODY);
    struct follower *follower = calloc(1, sizeof(*follower));
    if (!job || !follower) {
        free(follower);
        return job ? -ENOMEM : -ENOENT;
    }
    *follower = (struct follower){
        .session = session,
        .cursor = {.mask = record->mask, .base64 = record->base64, .bare = record->bare},
        .request = json_incref(json_object_get(more, "id")),
        .subscription = record->subscription,
        .hold = record->hold && !job_is_final(job),
        .tell_start = record->tell_start,
        .start_told = record->start_told,
        .by_descriptor = record->by_descriptor,
        .wait = wait_by_serial(session, record->wait),
        .kept = record,
        .watch = {.notify = follower_notify},
    };
    memcpy(follower->cursor.next, record->next, sizeof(record->next));
    memcpy(follower->taken, record->taken, sizeof(record->taken));
    if (watch_begin(&follower->watch, job) < 0) {
        json_decref(follower->request);
        free(follower);
        return -ENOMEM;
    }
    DL_APPEND(session->followers, follower);
    follower_account(follower, 1);
    if (follower->wait)
        wait_for_follower(follower->wait, true);
    if (follower->hold)
        follower_set_hold(job, session->control->runner, NULL);
    else
        follower_lags(follower);
    return 0;
}

struct follower *follower_new(struct session *session, struct job *job, const struct cursor *cursor, json_t *request,
                              bool hold, struct wait *wait) {
    struct follower *follower = calloc(1, sizeof(*follower));
    if (!follower)
        return NULL;
    *follower = (struct follower){.session = session,
                                  .cursor = *cursor,
                                  .request = json_incref(request ? request : json_null()),
                                  .subscription = ++session->last_subscription,
                                  .hold = hold,
                                  .tell_start = wait != NULL,
                                  .wait = wait};
    follower->watch.notify = follower_notify;
    if (watch_begin(&follower->watch, job) < 0) {
        json_decref(follower->request);
        free(follower);
        return NULL;
    }
    DL_APPEND(session->followers, follower);
    follower_account(follower, 1);
    follower_keep_begin(follower);
    if (hold)
        follower_set_hold(job, session->control->runner, NULL);
    session_wake(session);
    return follower;
}

void follower_by_descriptor(struct follower *follower) {
    follower->by_descriptor = follower->cursor.bare = true;
    memcpy(follower->taken, follower->cursor.next, sizeof(follower->taken));
    follower_keep(follower);
}

struct follower *follower_reading(struct session *session, const struct job *job) {
    struct follower *follower;
    DL_FOREACH(session->followers, follower) {
        if (follower->by_descriptor && follower->watch.job == job)
            return follower;
    }
    return NULL;
}

void follower_acknowledge(struct follower *follower, const int64_t offset[STREAM_COUNT]) {
    for (int s = 0; s < STREAM_COUNT; s++)
        follower->taken[s] = MAX(follower->taken[s], MIN(offset[s], follower->cursor.next[s]));
    follower_keep(follower);
    if (follower->hold)
        follower_set_hold(follower->watch.job, follower->session->control->runner, NULL);
}

void follower_free(struct follower *follower) {
    struct session *session = follower->session;
    if (follower->hold)
        follower_set_hold(follower->watch.job, session->control->runner, follower);
    watch_end(&follower->watch, session->control->runner);
    follower_lags_no_more(follower);
    DL_DELETE(session->followers, follower);
    follower_account(follower, -1);
    if (follower->wait)
        wait_for_follower(follower->wait, false);
    json_decref(follower->request);
    keep_call_end(session, follower->kept, false);
    free(follower);
}

static void follower_send(struct follower *follower, const char *method, json_t *params) {
    json_t *message = params ? message_notification(method, params) : NULL;
    session_send(follower->session, message);
    json_decref(message);
}

// With the descriptors; without them, where there are none to be had, it goes on by chunks.
static void follower_start_with(struct follower *follower, json_t *params) {
    struct session *session = follower->session;
    int fds[STREAM_COUNT];
    json_t *layout = NULL;
    int count = streams_open_live(session, follower->watch.job, follower->cursor.mask, fds, &layout);
    if (count < 0) {
        follower->by_descriptor = follower->cursor.bare = false;
        follower_send(follower, "job.started", params);
        return;
    }
    record_set(&params, "layout", layout);
    json_t *message = params ? message_notification("job.started", params) : NULL;
    session_send_with(session, message, fds, count);
    json_decref(message);
}

static void follower_tell_start(struct follower *follower) {
    const struct job *job = follower->watch.job;
    if (!follower->tell_start || follower->start_told || job->started_at <= 0)
        return;
    follower->start_told = true;
    json_t *record = record_job(follower->session->control, job, -1, now_mono());
    json_t *params = json_pack("{s:O,s:o}", "request", follower->request, "job", record);
    if (follower->by_descriptor)
        follower_start_with(follower, params);
    else
        follower_send(follower, "job.started", params);
    follower_keep(follower);
}

// Sends the next piece. False: there is none, or only the start of a character whose rest is to come.
static bool follower_send_piece(struct follower *follower) {
    const struct job *job = follower->watch.job;
    int64_t before[STREAM_COUNT];
    memcpy(before, follower->cursor.next, sizeof(before));
    json_t *params = chunks_build(job, &follower->cursor, follower->cursor.bare ? INT32_MAX : FOLLOWER_PIECE);
    bool news = memcmp(before, follower->cursor.next, sizeof(before)) != 0 || chunks_eof(job, &follower->cursor);
    if (params && !news) {
        json_decref(params);
        return false;
    }
    record_set(&params, "subscription", json_integer(follower->subscription));
    record_set(&params, "request", json_incref(follower->request));
    record_set(&params, "id", json_integer(job->id));
    if (!params)
        follower->session->closing = true; // what is lost is not passed over
    bool sent = params != NULL;
    follower_send(follower, "job.output", params);
    follower_keep(follower);
    return sent;
}

enum step { STEP_MORE, STEP_NOTHING, STEP_GONE };

// Sends the next piece. Behind the last one the follower is gone.
static enum step follower_step(struct follower *follower) {
    struct job *job = follower->watch.job;
    follower_tell_start(follower);
    bool over = job_is_final(job) && job->started_at <= 0; // never started: nothing to tell
    bool news = !over && (chunks_waiting(job, &follower->cursor) || chunks_eof(job, &follower->cursor));
    bool sent = news && follower_send_piece(follower);
    over = over || (sent && chunks_eof(job, &follower->cursor));
    if (over)
        follower_free(follower);
    return over ? STEP_GONE : sent ? STEP_MORE : STEP_NOTHING;
}

static void follower_pump(struct follower *follower) {
    const struct session *session = follower->session;
    enum step step = STEP_MORE;
    while (step == STEP_MORE && !session_congested(session))
        step = follower_step(follower);
    if (step != STEP_GONE)
        follower_set_hold(follower->watch.job, session->control->runner, NULL);
}

static void follower_lags(struct follower *follower) {
    struct control *control = follower->session->control;
    if (follower->is_lagging || stream_queued(follower->session->stream) > control->stream_limits.low_mark)
        return; // once it has drained
    follower->is_lagging = true;
    DL_APPEND2(control->lagging, follower, lag_prev, lag_next);
    ev_idle_start(control->loop, &control->spare);
}

static void follower_lags_no_more(struct follower *follower) {
    struct control *control = follower->session->control;
    if (!follower->is_lagging)
        return;
    follower->is_lagging = false;
    // It is in the list. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    DL_DELETE2(control->lagging, follower, lag_prev, lag_next);
    if (!control->lagging)
        ev_idle_stop(control->loop, &control->spare);
}

void followers_catch_up(struct control *control) {
    struct follower *follower = control->lagging;
    if (!follower)
        return;
    follower_lags_no_more(follower);
    if (follower_step(follower) == STEP_MORE)
        follower_lags(follower);
}

void followers_lag(struct control *control) {
    if (!control->lagging)
        return;
    double now = now_mono(), credit = control->lag_credit + (now - control->lag_since) * LAG_SHARE;
    control->lag_credit = MIN(credit, LAG_MOST);
    while (control->lagging && control->lag_credit > 0) {
        followers_catch_up(control);
        double then = now;
        now = now_mono();
        control->lag_credit -= now - then;
    }
    control->lag_since = now;
}

void followers_pump(struct session *session) {
    struct follower *follower, *next;
    DL_FOREACH_SAFE(session->followers, follower, next) {
        if (!follower->hold)
            follower_lags(follower);
        else
            follower_pump(follower);
    }
}

void followers_let_go(struct session *session, const struct job *job) {
    struct follower *follower;
    DL_FOREACH(session->followers, follower) {
        if (!follower->hold || follower->watch.job != job)
            continue;
        follower->hold = follower->by_descriptor = follower->cursor.bare = false;
        follower_keep(follower);
        follower_set_hold(follower->watch.job, session->control->runner, NULL);
        follower_lags(follower);
    }
}

bool followers_overstep(const struct session *session) {
    const struct follower *follower;
    DL_FOREACH(session->followers, follower) {
        if (!session_sees(session, follower->watch.job))
            return true;
    }
    return false;
}

void followers_release(struct session *session) {
    struct follower *follower;
    DL_FOREACH(session->followers, follower) {
        if (!follower->hold)
            continue;
        follower->hold = false;
        if (follower->by_descriptor) // who reads on must not find other bytes there
            runner_keep(follower->watch.job);
        follower_set_hold(follower->watch.job, session->control->runner, NULL);
        follower_lags(follower);
    }
}
