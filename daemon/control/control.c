// The control floor as a whole: what the runner tells goes to those who watch, once a turn.
#include "daemon/control/dispatch.h"
#include "daemon/control/control.h"

#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/audience.h"
#include "daemon/control/event.h"
#include "daemon/control/follower.h"
#include "daemon/control/keeping.h"
#include "daemon/control/session.h"
#include "daemon/control/wait.h"

enum { QUEUE_MAX = 16 << 20, QUEUE_LOW = 65536, PATIENCE = 10 };

static void on_started(struct job *job, void *data) {
    event_tell(data, EVENT_STARTED, job);
    audience_tell(job, WATCH_STARTED, NULL);
}

static void on_stopping(struct job *job, void *data) {
    event_tell(data, EVENT_STOPPING, job);
}

static void on_output(struct job *job, int stream, int64_t offset, const char *bytes, size_t size, void *data) {
    const struct piece piece = {.stream = stream, .offset = offset, .bytes = bytes, .size = size};
    if (job->audience)
        audience_tell(job, WATCH_OUTPUT, &piece);
}

static void on_eof(struct job *job, int stream, void *data) {
    audience_tell(job, WATCH_EOF, NULL);
}

static void on_final(struct job *job, void *data) {
    struct control *control = data;
    session_lease_end(job);
    event_tell(control, EVENT_FINAL, job);
    if (job->spec.retain <= 0)
        events_pump(control); // while there is a record to be shown
    audience_tell(job, WATCH_FINAL, NULL);
    control->activity(control->data);
}

static void on_left(struct job *job, void *data) {
    struct audience *audience = job->audience;
    if (audience && !audience->watches)
        audience_drop(job); // else its last watcher does
}

static void on_forgotten(struct job *job, void *data) {
    struct audience *audience = job->audience;
    event_tell(data, EVENT_FORGOTTEN, job);
    if (audience && !audience->watches)
        audience_drop(job); // else its last watcher does
}

static void on_gone(struct job *job, void *data) {
    archive_gone(data, job);
}

const struct runner_listener control_runner_listener = {.started = on_started,
                                                        .stopping = on_stopping,
                                                        .output = on_output,
                                                        .eof = on_eof,
                                                        .final = on_final,
                                                        .left = on_left,
                                                        .forgotten = on_forgotten,
                                                        .gone = on_gone};

static void on_bottom(struct ev_loop *loop, struct ev_prepare *w, int events) {
    struct control *control = w->data;
    followers_lag(control); // whoever's last piece this is may be answered
    while (control->busy) {
        struct session *session = control->busy;
        control->busy = session->next_busy;
        session->is_busy = false;
        session_work(session);
    }
    sessions_read_on(control);
    ev_idle_stop(loop, &control->again);
}

static void on_flushed(struct ev_loop *loop, struct ev_prepare *w, int events) {
    dispatch_go_on(w->data);
    subscriptions_go_on(w->data);
    waits_go_on(w->data);
}

static void on_again(struct ev_loop *loop, struct ev_idle *w, int events) {
    // The turn that this makes is all there is to it.
}

static void on_spare(struct ev_loop *loop, struct ev_idle *w, int events) {
    followers_catch_up(w->data);
}

int control_start(struct control *control) {
    int r = stream_host_new(control->loop, &control->streams);
    if (r < 0)
        return r;
    control->stream_limits = (struct stream_limits){.line_max = (size_t)control->limits.request_bytes,
                                                    .queue_max = QUEUE_MAX,
                                                    .low_mark = QUEUE_LOW,
                                                    .patience = PATIENCE};
    ev_prepare_init(&control->bottom, on_bottom);
    control->bottom.data = control;
    ev_idle_init(&control->again, on_again);
    ev_idle_init(&control->spare, on_spare);
    ev_set_priority(&control->spare, EV_MINPRI);
    control->spare.data = control;
    ev_prepare_start(control->loop, &control->bottom); // after the runner's bottom, before the streams'
    ev_unref(control->loop);
    ev_prepare_init(&control->flushed, on_flushed);
    ev_set_priority(&control->flushed, EV_MINPRI);
    control->flushed.data = control;
    ev_prepare_start(control->loop, &control->flushed);
    ev_unref(control->loop);
    return 0;
}

void control_stop(struct control *control) {
    if (!control->stopping)
        event_tell(control, EVENT_DAEMON_STOPPING, NULL);
    control->stopping = true;
    for (struct session *session = control->sessions; session; session = session->next)
        followers_release(session);
}

void control_finish(struct control *control) {
    if (!control->streams)
        return;
    dispatch_finish(control);
    while (control->sessions)
        session_end(control->sessions);
    ev_ref(control->loop);
    ev_prepare_stop(control->loop, &control->bottom);
    ev_ref(control->loop);
    ev_prepare_stop(control->loop, &control->flushed);
    ev_idle_stop(control->loop, &control->again);
    stream_host_free(control->streams);
    control->streams = NULL;
}

bool control_is_handy(const struct control *control) {
    for (struct session *session = control->sessions; session; session = session->next)
        if (stream_is_busy(session->stream))
            return false;
    return true;
}

void control_leave(struct control *control) {
    for (struct session *session = control->sessions; session; session = session->next)
        keep_session_leave(session);
}
