// A connected client.
#include "daemon/control/session.h"

#include <stdio.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/control/admission.h"
#include "daemon/control/audience.h"
#include "daemon/control/dispatch.h"
#include "daemon/control/event.h"
#include "daemon/control/feed.h"
#include "daemon/control/follower.h"
#include "daemon/control/keeping.h"
#include "daemon/control/wait.h"
#include "daemon/os/descriptors.h"

enum {
    SESSION_CONGESTED = 256 * 1024,
    LAUNCHES_MANY = 16, // of one session, waiting
    LAUNCHES_FEW = 8,
};
#define OWNER_TURN 0.005 // seconds of a turn of the loop for one user's requests and events; one that is begun is done

static bool owner_has_room(const struct session *session, int count) {
    const struct owner *owner = session->owner;
    return owner_may(owner, owner->descriptors, count, owners_limits(session->control->owners)->descriptors);
}

const char *session_descriptors_limit(const struct session *session, int count) {
    return owner_has_room(session, count) ? "descriptors" : "owner_descriptors";
}

int session_account(struct session *session, int count) {
    struct descriptors *descriptors = session->control->descriptors;
    struct owner *owner = session->owner;
    if (count > 0 && !owner_has_room(session, count))
        return -EMFILE;
    int r = count > 0 ? descriptors_take(descriptors, count, descriptors_for_clients()) : 0;
    if (count < 0)
        descriptors_give(descriptors, -count);
    if (r == 0)
        owner->descriptors += count;
    return r;
}

void session_send_with(struct session *session, const json_t *message, int *fds, int count) {
    struct buffer *out = stream_out(session->stream);
    size_t before = buffer_size(out);
    if (message && stream_give(session->stream, before, fds, count) == 0) {
        session_send(session, message);
        return;
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
    session_account(session, -count);
    session_send(session, NULL);
}

// Never silence: where memory is out that is said, and where it is out for that the connection ends.
static void session_sent(struct session *session, bool appended) {
    if (!appended) {
        json_t *fallback = message_error(NULL, PROTO_INTERNAL_ERROR, "out of memory", NULL);
        if (!fallback || message_append(stream_out(session->stream), fallback) < 0)
            session->closing = true;
        json_decref(fallback);
    }
    if (session->closing)
        session_wake(session);
    stream_send(session->stream);
}

void session_send(struct session *session, const json_t *message) {
    session_sent(session, message && message_append(stream_out(session->stream), message) == 0);
}

void session_send_text(struct session *session, struct buffer *text) {
    session_sent(session, buffer_move(stream_out(session->stream), text) == 0);
}

void session_wake(struct session *session) {
    if (session->is_busy)
        return;
    session->is_busy = true;
    session->next_busy = session->control->busy;
    session->control->busy = session;
    ev_idle_start(session->control->loop, &session->control->again);
}

bool session_congested(const struct session *session) {
    return stream_queued(session->stream) > SESSION_CONGESTED;
}

void session_work(struct session *session) {
    if (session->closing) {
        session_end(session);
        return;
    }
    if (!session->identity)
        return; // what it may see is known with it
    followers_pump(session);
    subscriptions_pump(session);
    waits_answer(session);
}

void session_launches(struct session *session) {
    struct control *control = session->control;
    if (session->is_held || launcher_queued_for(control->launcher, session->claimant) < LAUNCHES_MANY)
        return;
    session->is_held = true;
    DL_APPEND2(control->held, session, prev_held, next_held);
    session_read(session);
}

void session_read(struct session *session) {
    stream_read(session->stream, session->identity && !session->parked && !session->rest.members && !session->is_held &&
                                     !session->is_full && !session->closing);
}

bool session_is_over(const struct session *session) {
    const struct control *control = session->control;
    const struct owner *owner = session->owner;
    int64_t sum = owner->queued_bytes;
    if (owner->is_exempt)
        return false;
    for (const struct session *other = control->sessions; other; other = other->next)
        if (other->owner == owner)
            sum += (int64_t)stream_held(other->stream);
    return sum > owners_limits(control->owners)->queued_bytes;
}

bool session_others_are_over(const struct session *session) {
    const struct owner *owner = session->owner;
    int64_t sum = 0;
    if (owner->is_exempt || owner->clients < 2)
        return false;
    for (const struct session *other = session->control->sessions; other; other = other->next)
        if (other->owner == owner)
            sum += (int64_t)stream_queued(other->stream);
    return sum > owners_limits(session->control->owners)->queued_bytes;
}

bool session_fill(struct session *session) {
    if (!session_congested(session))
        return session_others_are_over(session);
    if (!session_is_over(session))
        return false;
    session->is_full = true;
    session_read(session);
    return true;
}

const char *session_may_hold(const struct session *session, size_t more) {
    const struct control *control = session->control;
    const struct owner *owner = session->owner;
    if (session->open_calls + (int64_t)more > control->limits.calls)
        return "calls";
    return owner_may(owner, owner->calls, (int64_t)more, owners_limits(control->owners)->calls) ? NULL : "owner_calls";
}

void session_hold(struct session *session, int64_t more) {
    session->open_calls += more;
    session->owner->calls += more;
}

static void session_let_go(struct session *session) {
    if (!session->is_held)
        return;
    session->is_held = false;
    DL_DELETE2(session->control->held, session, prev_held, next_held);
}

void sessions_read_on(struct control *control) {
    struct session *session, *next;
    for (session = control->held; session; session = next) {
        next = session->next_held;
        if (launcher_queued_for(control->launcher, session->claimant) >= LAUNCHES_FEW)
            continue;
        session_let_go(session);
        session_read(session);
    }
}

// However many connections they come by.
bool session_has_turn(const struct session *session) {
    const struct owner *owner = session->owner;
    return owner->turn != stream_host_turn(session->control->streams) || owner->turn_used < OWNER_TURN;
}

void session_worked(struct session *session, double since) {
    struct owner *owner = session->owner;
    uint64_t turn = stream_host_turn(session->control->streams);
    if (owner->turn != turn)
        owner->turn_used = 0;
    owner->turn = turn;
    owner->turn_used += now_mono() - since;
}

// One unfinished batch is enough for a user: the values of all that they could send are a multiple of the lines.
static bool on_turn(const char *line, size_t size, void *data) {
    const struct session *session = data;
    bool waits = session->owner->unfinished > 0 && message_is_batch(line, size);
    return !waits && session_has_turn(session);
}

static void on_line(struct stream *stream, const char *line, size_t size, void *data) {
    double since = now_mono();
    dispatch_line(data, line, size); // no session ends within
    session_worked(data, since);
}

static void on_overlong(struct stream *stream, void *data) {
    struct session *session = data;
    char what[80];
    bool is_over = session_is_over(session);
    json_t *more = is_over ? json_pack("{s:s}", "limit", "owner_queued_bytes") : NULL;
    if (is_over)
        snprintf(what, sizeof(what), "limit of owner_queued_bytes reached: this user's connections hold too much");
    else
        snprintf(what, sizeof(what), "a line may have %lld bytes", (long long)session->control->limits.request_bytes);
    json_t *message = message_error(NULL, is_over ? PROTO_LIMIT_REACHED : PROTO_INVALID_REQUEST, what, more);
    session_send(session, message);
    json_decref(message);
    session->closing = true;
    session_wake(session);
}

static bool on_grow(void *data) {
    return !session_is_over(data);
}

static void on_drained(struct stream *stream, void *data) {
    struct session *session = data;
    session->is_full = false;
    session_read(session);
    session_wake(session);
}

static void on_closed(struct stream *stream, void *data) {
    session_end(data);
}

static int on_account(void *data, int count) {
    return session_account(data, count);
}

static const struct stream_listener session_listener = {.line = on_line,
                                                        .overlong = on_overlong,
                                                        .grow = on_grow,
                                                        .drained = on_drained,
                                                        .closed = on_closed,
                                                        .account = on_account,
                                                        .turn = on_turn};

static int session_open(struct control *control, int fd, uid_t uid, pid_t pid, struct session **ret_session) {
    struct session *session = calloc(1, sizeof(*session));
    if (!session) {
        fd_close(fd);
        return -ENOMEM;
    }
    session->control = control;
    session->uid = uid;
    session->pid = pid;
    session->owner = owner_get(control->owners, uid);
    int r = session->owner ? 0 : -ENOMEM;
    if (r < 0)
        fd_close(fd);
    else
        r = stream_new(control->streams, fd, &session_listener, &control->stream_limits, session, &session->stream);
    if (r < 0) {
        owner_release(control->owners, session->owner);
        free(session);
        return r;
    }
    stream_set_from(session->stream, uid);
    DL_APPEND(control->sessions, session);
    control->stats.connected++;
    session->owner->clients++;
    session->owner->descriptors++;
    *ret_session = session;
    return 0;
}

int session_new(struct control *control, int fd, uid_t uid, pid_t pid) {
    struct session *session;
    int r = session_open(control, fd, uid, pid, &session);
    if (r < 0)
        return r;
    control->stats.accepted++;
    session->owner->connections++;
    keep_session_begin(session);
    admission_begin(session);
    return 0;
}

int session_resume(struct control *control, struct kept_session *record) {
    struct session *session;
    int r = session_open(control, record->fd, record->uid, record->pid, &session);
    if (r < 0)
        return r;
    session->kept = record;
    session->last_subscription = record->last_subscription;
    stream_mark(session->stream, &record->busy);
    const char *in = kept_blob_get(control->kept, &record->in), *out = kept_blob_get(control->kept, &record->out);
    r = stream_preload(session->stream, in, record->in.size, out, record->out.size);
    kept_blob_drop(control->kept, &record->in);
    kept_blob_drop(control->kept, &record->out);
    if (r < 0)
        session_end(session);
    else
        admission_begin(session);
    return 0;
}

static void session_drop_leases(struct session *session) {
    while (session->leases) {
        struct job *job = session->leases;
        session_lease_end(job);
        if (!job_is_final(job))
            runner_stop(session->control->runner, job, (struct cause){REASON_KILLED, KILLER_LEASE, session->uid}, -1,
                        -1);
    }
}

void session_end(struct session *session) {
    struct control *control = session->control;
    stream_busy(session->stream, 1); // what it waits for goes first: the next worker is not to find it without
    while (session->followers)
        follower_free(session->followers);
    while (session->waits)
        wait_drop(session->waits);
    while (session->ready)
        wait_drop(session->ready);
    while (session->subscriptions)
        subscription_free(session->subscriptions);
    while (session->feeds)
        feed_drop(session->feeds);
    session_drop_leases(session);
    session_let_go(session);
    dispatch_end(session);
    admission_end(session);
    keep_session_end(session);
    stream_free(session->stream);
    DL_DELETE(control->sessions, session);
    if (session->is_busy)
        LL_DELETE2(control->busy, session, next_busy);
    control->stats.connected--;
    descriptors_give(control->descriptors, 1);
    session->owner->clients--;
    session->owner->descriptors--;
    claimant_release(session->claimant);
    owner_release(control->owners, session->owner);
    free(session);
    control->activity(control->data);
}

#define LEASE_PREV(job) ((struct audience *)(job)->audience)->lease_prev

void session_lease(struct session *session, struct job *job) {
    struct audience *audience = job_is_final(job) ? NULL : audience_get(job); // what is over has nobody to free it
    if (!audience || audience->lease == session)
        return;
    if (audience->lease)
        followers_let_go(audience->lease, job);
    session_lease_end(job);
    audience->lease = session;
    runner_keep_lease(job, session->kept ? session->kept->id : 0);
    audience->lease_prev = NULL;
    audience->lease_next = session->leases;
    if (session->leases)
        LEASE_PREV(session->leases) = job;
    session->leases = job;
}

void session_lease_end(struct job *job) {
    struct audience *audience = job->audience;
    if (!audience || !audience->lease)
        return;
    if (audience->lease_prev)
        ((struct audience *)audience->lease_prev->audience)->lease_next = audience->lease_next;
    else
        audience->lease->leases = audience->lease_next;
    if (audience->lease_next)
        LEASE_PREV(audience->lease_next) = audience->lease_prev;
    audience->lease = NULL;
    runner_keep_lease(job, 0);
}

bool session_owns(const struct session *session, const struct job *job) {
    return session->uid == job->owner || session->uid == 0 || session->uid == session->control->info.uid;
}

bool session_sees(const struct session *session, const struct job *job) {
    return session->uid == job->owner || session_administers(session);
}
