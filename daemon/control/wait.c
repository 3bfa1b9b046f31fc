// Calls that wait for jobs.
#include "daemon/control/wait.h"

#include <stdio.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/keeping.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"

enum {
    LOOK_FIRST = 1 << 20, // bytes of what is there that are looked at before anybody else has their turn,
    LOOK_PIECE = 1 << 17, // and at a time from then on, for as long as the user's part of a turn lasts
};

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
    struct kept_call *kept; // or NULL: its session is busy meanwhile, or its batch's is
    bool was_kept;
    bool looks; // for a text: counted with its owner
    // What looks on in what was there before, or NULL; spec.matcher looks in what comes.
    struct matcher *past;
    struct ev_timer again;
    bool matched, ready, follower_pending;
    struct wait *prev, *next; // of the session's waits, or its ready ones
    size_t count;
    struct wait_job jobs[];
};

static bool jobs_are_there(const struct wait *wait) {
    return wait->missing == 0 || (wait->spec.any && wait->missing < wait->count);
}

static void wait_settle(struct wait *wait) {
    bool done = wait->matched || (jobs_are_there(wait) && !wait->past);
    if (!done || wait->ready || wait->follower_pending)
        return;
    struct session *session = wait->call->session;
    wait->ready = true;
    DL_DELETE(session->waits, wait);
    DL_APPEND(session->ready, wait);
    session_wake(session);
}

static void past_end(struct wait *wait) {
    ev_timer_stop(wait->call->session->control->loop, &wait->again);
    matcher_free(TAKE_PTR(wait->past));
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct wait *wait = timer->data;
    struct session *session = wait->call->session;
    bool more = true;
    double since = now_mono();
    while (more && !wait->matched && session_has_turn(session)) {
        wait->matched = matcher_scan(wait->past, wait->jobs[0].watch.job, LOOK_PIECE, &more);
        double now = now_mono();
        session_worked(session, since);
        since = now;
    }
    if (!more || wait->matched) {
        past_end(wait);
        wait_settle(wait);
        return;
    }
    ev_timer_set(timer, 0, 0);
    ev_timer_start(loop, timer);
}

// Looks in what is there: at once, or in the turns to come. Returns 0 or -ENOMEM.
static int past_begin(struct wait *wait) {
    struct wait_spec *spec = &wait->spec;
    const struct job *job = wait->jobs[0].watch.job;
    bool more;
    unsigned mask;
    size_t size;
    wait->matched = matcher_scan(spec->matcher, job, LOOK_FIRST, &more);
    if (!more)
        return 0;
    const char *text = matcher_text(spec->matcher, &mask, &size);
    struct matcher *live = matcher_new(mask, text, size);
    if (!live)
        return -ENOMEM;
    matcher_join(live, job);
    wait->past = spec->matcher;
    spec->matcher = live;
    ev_timer_start(wait->call->session->control->loop, &wait->again);
    return 0;
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
    session_hold(session, 1 - (int64_t)wait->count);
    session->owner->until_waits -= wait->looks;
    for (size_t i = 0; i < wait->count; i++)
        watch_end(&wait->jobs[i].watch, session->control->runner);
    if (wait->ready)
        DL_DELETE(session->ready, wait);
    else
        DL_DELETE(session->waits, wait);
    past_end(wait);
    matcher_free(wait->spec.matcher);
    keep_call_end(session, wait->kept, wait->was_kept);
    free(wait);
}

// For the next worker. Members of a batch are its session's business as a whole.
static void wait_keep(struct wait *wait) {
    const struct wait_spec *spec = &wait->spec;
    struct session *session = wait->call->session;
    json_t *more = json_object();
    wait->was_kept = wait->call->batch != NULL;
    if (wait->was_kept) {
        json_decref(more);
        return;
    }
    if (wait->count > 1) {
        json_t *ids = json_array();
        for (size_t i = 0; i < wait->count; i++)
            json_array_append_new(ids, json_integer(wait->jobs[i].watch.job->id));
        json_object_set_new(more, "jobs", ids);
    }
    unsigned mask = 0;
    size_t size;
    if (spec->matcher) {
        const char *text = matcher_text(spec->matcher, &mask, &size);
        json_object_set_new(more, "text", json_stringn(text, size));
    }
    wait->kept = keep_call(session, KEPT_WAIT, wait->call->id, more);
    if (!wait->kept)
        return;
    wait->kept->any = spec->any;
    wait->kept->started = spec->started;
    wait->kept->one = spec->one;
    wait->kept->inline_bytes = spec->inline_bytes;
    wait->kept->limit_at = spec->limit >= 0 ? now_mono() + spec->limit : 0;
    wait->kept->mask = mask;
    wait->kept->job = wait->jobs[0].watch.job->id;
}

static int wait_begin(struct call *call, struct job *const *jobs, size_t count, const struct wait_spec *spec,
                      struct wait **ret_wait) {
    struct wait *wait = calloc(1, sizeof(*wait) + count * sizeof(wait->jobs[0]));
    if (!wait)
        return -ENOMEM;
    struct session *session = call->session;
    wait->call = call;
    wait->spec = *spec;
    wait->count = wait->missing = count;
    wait->follower_pending = spec->is_followed;
    session_hold(session, (int64_t)count - 1);
    wait->looks = spec->matcher != NULL;
    session->owner->until_waits += wait->looks;
    ev_timer_init(&wait->limit, on_limit, MAX(spec->limit, 0), 0);
    ev_timer_init(&wait->again, on_again, 0, 0);
    wait->limit.data = wait->again.data = wait;
    DL_APPEND(session->waits, wait);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        struct wait_job *wj = &wait->jobs[i];
        *wj = (struct wait_job){.wait = wait, .watch = {.notify = wait_notify}};
        r = watch_begin(&wj->watch, jobs[i]);
        wj->there = job_is_there(spec, jobs[i]);
        wait->missing -= wj->there;
    }
    if (r == 0 && spec->matcher)
        r = past_begin(wait);
    if (r < 0) {
        wait->spec.matcher = NULL;
        wait->was_kept = true;
        wait_free(wait);
        return r;
    }
    if (spec->limit >= 0)
        ev_timer_start(session->control->loop, &wait->limit);
    *ret_wait = wait;
    return 0;
}

int wait_new(struct call *call, struct job *const *jobs, size_t count, const struct wait_spec *spec,
             struct wait **ret_wait) {
    int r = wait_begin(call, jobs, count, spec, ret_wait);
    if (r < 0)
        return r;
    wait_keep(*ret_wait);
    wait_settle(*ret_wait);
    return CALL_LATER;
}

static int wait_resume_jobs(struct control *control, const struct kept_call *record, const json_t *more,
                            struct job ***ret_jobs, size_t *ret_count) {
    const json_t *ids = json_object_get(more, "jobs");
    size_t count = ids ? json_array_size(ids) : 1;
    struct job **jobs = calloc(count, sizeof(*jobs)); // NOLINT(bugprone-sizeof-expression): of pointers
    for (size_t i = 0; jobs && i < count; i++) {
        int64_t id = ids ? json_integer_value(json_array_get(ids, i)) : record->job;
        jobs[i] = registry_find(control->registry, id);
        if (!jobs[i])
            jobs[i] = archive_find(control, id, HISTORY_ANYBODY);
        if (!jobs[i]) {
            free(jobs);
            return -ENOENT;
        }
    }
    *ret_jobs = jobs;
    *ret_count = count;
    return jobs ? 0 : -ENOMEM;
}

int wait_resume(struct session *session, struct kept_call *record, json_t *more) {
    _cleanup_free_ struct job **jobs = NULL;
    size_t count;
    const json_t *text = json_object_get(more, "text");
    struct wait_spec spec = {
        .any = record->any,
        .started = record->started,
        .one = record->one,
        .inline_bytes = record->inline_bytes,
        .limit = record->limit_at > 0 ? MAX(record->limit_at - now_mono(), 0) : -1,
    };
    int r = wait_resume_jobs(session->control, record, more, &jobs, &count);
    struct call *call = r == 0 ? call_new(session, json_object_get(more, "id")) : NULL;
    if (!call)
        return r < 0 ? r : -ENOMEM;
    if (text)
        spec.matcher = matcher_new(record->mask, json_string_value(text), json_string_length(text));
    struct wait *wait;
    r = text && !spec.matcher ? -ENOMEM : wait_begin(call, jobs, count, &spec, &wait);
    if (r < 0) {
        matcher_free(spec.matcher);
        call_drop(call);
        return r;
    }
    wait->kept = record;
    wait->follower_pending = record->hold;
    wait_settle(wait);
    return 0;
}

int64_t wait_serial(const struct wait *wait) {
    return wait->kept ? wait->kept->id : 0;
}

struct wait *wait_by_serial(struct session *session, int64_t serial) {
    struct wait *wait = serial > 0 ? session->waits : NULL;
    while (wait && wait_serial(wait) != serial)
        wait = wait->next;
    return wait;
}

bool waits_overstep(const struct session *session) {
    const struct wait *const lists[] = {session->waits, session->ready};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (const struct wait *wait = lists[i]; wait; wait = wait->next)
            for (size_t j = 0; j < wait->count; j++)
                if (!session_sees(session, wait->jobs[j].watch.job))
                    return true;
    return false;
}

void wait_for_follower(struct wait *wait, bool pending) {
    wait->follower_pending = pending;
    if (wait->kept)
        wait->kept->hold = pending;
    wait_settle(wait);
}

static json_t *wait_result(const struct wait *wait) {
    double now = now_mono();
    struct control *control = wait->call->session->control;
    if (wait->spec.one)
        return record_answer(control, wait->jobs[0].watch.job, wait->spec.inline_bytes, now);
    json_t *jobs = json_array();
    for (size_t i = 0; i < wait->count; i++)
        record_add(&jobs, record_job(control, wait->jobs[i].watch.job, wait->spec.inline_bytes, now));
    bool done = wait->matched || jobs_are_there(wait);
    return json_pack("{s:b,s:b,s:o}", "done", done, "matched", wait->matched, "jobs", jobs);
}

// What a batch gathers is on no stream yet. Whoever is refused then is told that the job is there: it may have been started by
// this very call.
static int answer_check(struct wait *wait) {
    struct call *call = wait->call;
    if (!call->batch || !call_is_over(call))
        return 0;
    call->refusal.limit = "owner_queued_bytes";
    call->refusal.id = wait->jobs[0].watch.job->id;
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "limit of owner_queued_bytes reached by answers that wait: ask for job %lld again, which is there",
             (long long)call->refusal.id);
    return -EUSERS;
}

static void wait_answer(struct wait *wait) {
    struct call *call = wait->call;
    stream_send(call->session->stream); // from here on it is half way
    size_t weight = 0;
    int r = answer_check(wait);
    for (size_t i = 0; r == 0 && i < wait->count; i++) // they may have been given labels since
        r = target_weigh(call, wait->jobs[i].watch.job, wait->count, &weight);
    json_t *result = r < 0 ? NULL : call->id ? wait_result(wait) : json_null();
    wait_free(wait);
    if (r < 0)
        call_refuse(call, r);
    else
        call_answer(call, result);
}

void waits_answer(struct session *session) {
    bool over = false;
    while (session->ready && !session_congested(session) && !(over = session_others_are_over(session)))
        wait_answer(session->ready);
    session->control->answers_wait |= over;
}

void waits_go_on(struct control *control) {
    const struct owner *over = NULL; // lest each of many connections sums up all of them
    if (!control->answers_wait)
        return;
    control->answers_wait = false;
    for (struct session *session = control->sessions; session; session = session->next) {
        if (!session->ready || session_congested(session))
            continue;
        if (session->owner != over && session_others_are_over(session))
            over = session->owner;
        if (session->owner == over)
            control->answers_wait = true;
        else
            session_wake(session);
    }
}

void wait_drop(struct wait *wait) {
    struct call *call = wait->call;
    wait_free(wait);
    call_drop(call);
}
