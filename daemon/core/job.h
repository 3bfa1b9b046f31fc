// job: a spec, an id, one result.
#pragma once

#include <uthash.h>

#include "daemon/core/lifecycle.h"
#include "daemon/core/outcome.h"
#include "daemon/core/owner.h"
#include "daemon/core/spec.h"

// In the order of proto_states.
enum job_state { JOB_QUEUED, JOB_STARTING, JOB_RUNNING, JOB_STOPPING, JOB_FINAL, JOB_STATE_COUNT };

struct job {
    int64_t id;
    uid_t owner;
    struct owner *account; // referenced; NULL where nobody counts
    struct spec spec;      // owned
    struct lifecycle life;
    struct outcome outcome; // owned; valid once final
    pid_t pid;              // 0: never started
    int attempt;
    double created_at, started_at, ended_at; // wall clock; 0: not yet
    double started_mono, ended_mono;
    int references; // who else holds it: a forgotten job lives until they let go
    bool forgotten;
    bool at_hand;   // of the history: the present request looks at it
    void *audience; // the control floor's: who waits for it, follows it, holds its lease
    void *run;      // the runner's: live process, streams, who watches. Never NULL in a registry

    // The registry's own.
    UT_hash_handle by_id;
    struct job *newer, *older;           // all, by id
    struct job *name_older, *name_newer; // those of the same owner and name
    struct job *final_next, *final_prev; // final ones, by their end
};

enum job_state job_state(const struct job *job);
// Whether its result is made: at the bottom of the turn in which its lifecycle ended.
static inline bool job_is_final(const struct job *job) {
    return job->outcome.reason != REASON_NONE;
}
// How long the leader has run, or ran. Seconds; -1 where it never started.
double job_elapsed(const struct job *job, double now);
