// keeping: what of the clients' side outlives the worker: connections, and what they wait for. A connection with something
// half way, or with a call that stands nowhere but in this worker's memory, is marked busy, and is closed by the next one.
#pragma once

#include "daemon/control/session.h"
#include "daemon/os/kept.h"

struct kept_session {
    int64_t id; // the serial of the session
    int fd;
    uid_t uid;
    pid_t pid;
    int busy;
    int64_t last_subscription;
    struct kept_blob in, out; // left by a worker that went in order
};

enum kept_call_kind { KEPT_WAIT, KEPT_FOLLOW, KEPT_SUBSCRIPTION, KEPT_REEXEC };

struct kept_call {
    int64_t id, session; // serials
    int kind;
    bool any, started, one;                                         // wait
    bool hold, tell_start, start_told, by_descriptor, base64, bare; // follow
    double limit_at;                                                // wait: monotonic; 0: none
    int64_t inline_bytes, job;
    int64_t subscription, wait; // follow: the wait that is answered after it, by its serial; 0: none
    unsigned mask;              // of streams, or of event types
    int64_t next[STREAM_COUNT], taken[STREAM_COUNT];
    int64_t next_event;
    struct kept_blob more; // JSON: {id, jobs, text}
};

// A record of a call with its request's id, and more ("jobs", "text") taken over. Where there is none to be had the
// session stays busy as long as the call lasts: NULL.
struct kept_call *keep_call(struct session *session, enum kept_call_kind kind, json_t *request, json_t *more);
void keep_call_end(struct session *session, struct kept_call *record, bool was_kept);

// The answer to daemon.reexec. Returns 0 or -ENOMEM.
int reexec_resume(struct session *session, struct kept_call *record, json_t *more);

void keep_session_begin(struct session *session);
void keep_session_end(struct session *session);
// What is half way is left for the next worker, where that can be.
void keep_session_leave(struct session *session);
// A call that nobody else knows of begins (1) or ends (-1).
void keep_session_unkept(struct session *session, int count);

// What is left of a spec's params, for `start`: all but what must not linger, and that; with what was found out for it: its
// cwd, and its owner's name. Returns 0 or -ENOMEM.
int keep_spec(const json_t *params, const struct spec *spec, const char *owner, char **ret_text, char **ret_secrets);
// Gives a job the labels of params instead of its own. Returns 0, -ENOMEM, or -EUSERS with the limit that was reached: then
// nothing has changed.
int keep_labels(struct control *control, struct job *job, const json_t *params, const char **ret_limit);
