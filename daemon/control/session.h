// session: one connected client: its requests, what it still waits for, what it follows, its leases.
#pragma once

#include "daemon/control/call.h"
#include "daemon/control/control.h"

struct wait;
struct follower;

struct session {
    struct control *control;   // borrowed; outlives it
    struct stream *stream;     // owned
    struct claimant *claimant; // referenced; from its admission on
    struct owner *owner;       // referenced
    struct identity *identity; // referenced; NULL: not known yet, or refused: nothing is read from it
    struct identity_ask ask;   // for it, or for one that is named
    json_t *parked;            // owned: read, and waiting for whom it names to be looked up
    size_t parked_next;        // of its requests, the first that was not looked at for that
    uid_t uid;
    pid_t pid;
    struct wait *waits;                 // list: calls that wait
    struct wait *ready;                 // list: of them, those whose answer can be made
    struct follower *followers;         // list
    struct subscription *subscriptions; // list: of events
    struct feed *feeds;                 // list: calls of job.input that wait
    struct job *leases;                 // list through their audiences
    int64_t open_calls;                 // and what is waited for or subscribed to beside
    int64_t last_subscription;
    struct ancillary parked_along; // what came with it
    bool is_busy, is_held, is_full, closing;
    struct kept_session *kept; // what the next worker would know of it, or NULL
    bool is_aside;
    struct {
        json_t *members; // owned: of a batch that has more than one turn's worth of work, or NULL
        size_t next;
        struct batch *batch;
        struct session *prev, *next_session;
    } rest; // dispatch's
    struct session *prev, *next, *next_busy, *prev_held, *next_held, *prev_aside, *next_aside;
};

// Takes the descriptor over, and one of the budget that the caller has taken for it. Returns 0 or a negative errno;
// then the caller still has what it took of the budget.
int session_new(struct control *control, int fd, uid_t uid, pid_t pid);
// One of the worker before us. Returns 0 or a negative errno; then its descriptor is closed.
int session_resume(struct control *control, struct kept_session *record);
void session_end(struct session *session); // drops everything, kills leased jobs, frees at the loop's bottom

void session_send(struct session *session, const json_t *message);    // NULL: memory is out
void session_send_text(struct session *session, struct buffer *text); // a line, which is moved
// Takes descriptors for its account, for as long as they wait to be sent or taken. Returns 0 or -EMFILE: then the limit that
// stands in the way of so many is session_descriptors_limit.
int session_account(struct session *session, int count);
const char *session_descriptors_limit(const struct session *session, int count);
// Sends descriptors along, which were taken for its account, and are taken over.
void session_send_with(struct session *session, const json_t *message, int *fds, int count);
// Answers that are ready and output that is there go out at the bottom of this turn.
void session_wake(struct session *session);
// More than this unsent: answers and notifications wait.
bool session_congested(const struct session *session);

// Whether all that waits for this user, in either direction and for jobs, is more than their share.
bool session_is_over(const struct session *session);
// Many connections with something each that is not read: what this one is told would come to that.
bool session_others_are_over(const struct session *session);
// That, with much of it unsent here: then nothing more is read until some of it has gone. Or more is unsent to this user's
// connections together.
bool session_fill(struct session *session);
// What a call or a subscription keeps beyond its answer counts as so many calls, for as long as it lasts. session_may_hold
// returns NULL, or which limit is in the way.
const char *session_may_hold(const struct session *session, size_t more);
void session_hold(struct session *session, int64_t more); // negative: less
// The descriptors that came with the request at hand, now the caller's.
struct ancillary session_take(struct session *session);
// Reads on, unless something stands against it.
void session_read(struct session *session);

void session_lease(struct session *session, struct job *job); // takes it over from another session too
void session_lease_end(struct job *job);
bool session_administers(const struct session *session); // admission
// Whether it may do with the job what its user may: it is theirs, or the machine is. Else it is not seen, or administered.
bool session_owns(const struct session *session, const struct job *job);
bool session_sees(const struct session *session, const struct job *job);
// It has submitted a launch. All launches wait in one queue: whoever finds it long is read on when it is short again,
// so that nobody's launch waits behind another client's thousands.
void session_launches(struct session *session);
void sessions_read_on(struct control *control); // for the loop's bottom
void session_work(struct session *session);     // for the loop's bottom
// Whether something is left of its user's part of this turn, and that it has worked since then.
bool session_has_turn(const struct session *session);
void session_worked(struct session *session, double since);
