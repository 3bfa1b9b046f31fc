// wait: a call that is answered when jobs have come so far: started, final, or have printed a text.
#pragma once

#include "daemon/control/audience.h"
#include "daemon/control/call.h"
#include "daemon/control/matcher.h"

struct session;
struct wait;

// Of one user, waiting for a text: each looks at each byte as it comes, and holds its text some times over.
enum { WAIT_UNTIL_MAX = 64 };

struct wait_spec {
    bool any;                // one of the jobs is enough
    bool started;            // having started is enough (job.start)
    bool one;                // the answer is {job}, not {done, matched, jobs}
    bool is_followed;        // not answered before wait_for_follower says so; without a limit
    double limit;            // seconds; negative: none
    int64_t inline_bytes;    // -1: no output in the records
    struct matcher *matcher; // taken over, or NULL; for one job
};

// Takes the call over and answers it when the time has come, at the earliest at the bottom of this turn.
// Returns CALL_LATER with the wait, or -ENOMEM with the call still the caller's.
int wait_new(struct call *call, struct job *const *jobs, size_t count, const struct wait_spec *spec,
             struct wait **ret_wait);
// One of the worker before us. Returns 0 or a negative errno.
struct kept_call;
int wait_resume(struct session *session, struct kept_call *record, json_t *more);
int64_t wait_serial(const struct wait *wait);                         // 0: it is not kept
struct wait *wait_by_serial(struct session *session, int64_t serial); // NULL: none, or it is about to be answered
// A follower of the same job that must have sent everything before the answer.
void wait_for_follower(struct wait *wait, bool pending);
bool waits_overstep(const struct session *session); // some are for jobs that it does not see (any more)
void wait_drop(struct wait *wait);                  // no answer: the session is gone
// Answers those of the session that are ready, as far as it and its user's other connections take it. Some are left where
// those are not read: waits_go_on, when the streams have been flushed, wakes the session once they are.
void waits_answer(struct session *session);
void waits_go_on(struct control *control);
