// target: the jobs that a call's id, name or ids mean.
#pragma once

#include <jansson.h>

#include "daemon/control/call.h"

// The one job of id or name. Returns 0, or with the refusal filled -ENOENT, or -EIO: the history, which may know it, can't
// be read.
int target_one(struct call *call, const json_t *params, struct job **ret_job);
// Likewise one's own, to do with what its user may: -EPERM, with the refusal filled, where it is seen as an administrator.
int target_own(struct call *call, const json_t *params, struct job **ret_job);
// The jobs of id, name or ids: a new array of *ret_count, the caller's to free. Returns 0, -ENOMEM, or with the refusal filled
// as target_one or target_weigh, or -EUSERS: too much would be in memory for the caller.
int target_many(struct call *call, const json_t *params, struct job ***ret_jobs, size_t *ret_count);
// Adds the record of one of `count` jobs to the weight of all. Returns 0, or -EINVAL with the refusal filled: they do not go into
// one answer.
int target_weigh(struct call *call, const struct job *job, size_t count, size_t *weight);

// Whether the history's last answer was one: 0, or -EIO with the refusal filled. Why is told to administrators only: it is
// about the machine's files, and what happens to them.
int target_answered(struct call *call);
