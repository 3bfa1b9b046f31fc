// follower: notifications of a job's output to one session, from an offset to the end.
#pragma once

#include "daemon/control/audience.h"
#include "daemon/control/chunks.h"
#include "daemon/control/session.h"

struct wait;

// Follows `job` from the cursor on. `request`: the call's id, borrowed. `hold`: lossless, the job's pipes wait for
// it. `wait`: a job.run whose answer comes after everything; it is told of the job's start too. NULL when memory is out.
struct follower *follower_new(struct session *session, struct job *job, const struct cursor *cursor, json_t *request,
                              bool hold, struct wait *wait);
// From now on its notifications carry offsets only, and what it holds is what it was told and has not acknowledged. For
// one of job.run the descriptors come with job.started; where they can't be had it stays as it is.
void follower_by_descriptor(struct follower *follower);
// One of the worker before us. Returns 0 or a negative errno.
struct kept_call;
int follower_resume(struct session *session, struct kept_call *record, json_t *more);
// Of the session, the one that reads the job by descriptors, or NULL.
struct follower *follower_reading(struct session *session, const struct job *job);
// What was told up to there is read: `offset[s]` of each stream; lower ones than before mean nothing.
void follower_acknowledge(struct follower *follower, const int64_t offset[STREAM_COUNT]);
int64_t follower_subscription(const struct follower *follower);
struct follower *follower_find(struct session *session, int64_t subscription);
void follower_free(struct follower *follower);
// Sends what there is for those of the session that hold, as far as it takes it. Frees each behind its eof. The others
// wait for their turn.
void followers_pump(struct session *session);
// Of the loop's time those without a hold have what is spare, a piece for one of them at a time; and a small share of it
// in any case, at the bottom of a turn. So however many they are, they neither stall the job they follow nor anybody.
void followers_catch_up(struct control *control);
void followers_lag(struct control *control);
// The job's lease has gone to another session: this one holds nothing back any more, and is followed by chunks.
void followers_let_go(struct session *session, const struct job *job);
bool followers_overstep(const struct session *session); // some are of jobs that it does not see (any more)
// The daemon is stopping: nobody holds a job's pipes back any more.
void followers_release(struct session *session);
