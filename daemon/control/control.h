// control: the state that the files of this floor share: who is connected, what the daemon is.
#pragma once

#include <ev.h>

#include "common/log.h"
#include "common/stream.h"
#include "daemon/core/access.h"
#include "daemon/core/owner.h"
#include "daemon/core/registry.h"
#include "daemon/os/identities.h"
#include "daemon/runner/runner.h"

struct session;

struct control_limits {
    int64_t clients;       // connections
    int64_t request_bytes; // longest line
    int64_t calls;         // unanswered requests of one connection
    int64_t live_jobs, history_jobs, history_bytes, output_bytes;
    int64_t owner_history_jobs, owner_history_bytes;
};

struct control_info {
    const char *version, *socket; // borrowed
    pid_t pid;
    double started_at, started_mono;
    uid_t uid;
};

struct control_stats {
    int64_t connected, accepted, refused, requests;
};

struct kept;

enum { CONTROL_LATER = 16 };

struct control {
    struct ev_loop *loop;
    const struct log *log;
    struct runner *runner;
    struct registry *registry;
    struct kept *kept;
    struct history *history;   // or NULL
    struct job *loaded;        // list: jobs of the history that the present request looks at
    struct job *archived;      // hash: these, and those that somebody still watches
    const char *store_trouble; // borrowed: why there is no history although one was asked for, or NULL
    bool refuses_undurable;    // no new jobs while the history can't be written
    struct tree_host *trees;
    struct launcher *launcher;
    struct descriptors *descriptors;
    struct spool_host *spools;
    struct identity *identity;     // the daemon's own
    bool is_shared;                // many users, each with their own jobs
    struct identities *identities; // of them
    const struct access *access;
    struct owners *owners;
    struct control_limits limits;
    struct control_info info;
    struct control_stats stats;
    struct refused {
        uid_t uid;
        double told_at; // in the log; monotonic
    } refused[16];      // the last ones
    struct stream_host *streams;
    struct stream_limits stream_limits;
    bool recovering;            // from what another worker left
    struct session *sessions;   // list
    struct session *busy;       // list: sessions with answers or output to send at the bottom of the turn
    struct session *held;       // list: sessions that are not read while many launches wait
    struct session *unfinished; // list: sessions with a batch that goes on in the next turn
    struct session *aside;    // list: sessions with events that wait for their user's part of a turn, or of the memory
    bool answers_wait;        // of some that are ready, for their user's other connections to be read
    struct follower *lagging; // list: those without a hold that have something to be sent
    struct ev_idle spare;     // while there are such: what nobody else needs of the loop's time is theirs
    double lag_credit, lag_since; // seconds of it that are theirs in any case, as of then
    struct ev_prepare bottom;
    struct ev_prepare flushed; // after the streams' bottom: what is unsent then stays so until something happens
    struct ev_idle again;      // what came up at the bottom itself is done before the loop sleeps
    bool stopping;             // no new work is taken
    void (*stop)(void *data);  // daemon.stop was called
    // daemon.reload was called: settings that count later into `later`, their number; or -EINVAL with `why`.
    int (*reload)(void *data, const char *later[CONTROL_LATER], char why[256]);
    int (*reexec)(void *data);    // daemon.reexec was called: 0, -EOPNOTSUPP, or -EINVAL: the program would not start
    void (*activity)(void *data); // a client left or a job ended
    void *data;
};

extern const struct runner_listener control_runner_listener; // its data is the control
int control_start(struct control *control);                  // after the parts are filled in
void control_stop(struct control *control);                  // takes no new work, lets go of what clients hold back
// Before the worker gives way to another: whether nothing is under way that only it knows of; then what is half way with
// clients is left for the next one.
bool control_is_handy(const struct control *control);
void control_leave(struct control *control);
void control_finish(struct control *control); // closes all sessions
