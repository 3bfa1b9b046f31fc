// target: the jobs that a call's id, name or ids mean.
#pragma once

#include <jansson.h>

#include "daemon/control/call.h"

// The one job of id or name. Returns 0 or -ENOENT with the refusal filled.
int target_one(struct call *call, const json_t *params, struct job **ret_job);
// Likewise one's own, to do with what its user may: -EPERM, with the refusal filled, where it is seen as an administrator.
int target_own(struct call *call, const json_t *params, struct job **ret_job);
// The jobs of id, name or ids: a new array of *ret_count, the caller's to free. Returns 0, -ENOENT or -ENOMEM.
int target_many(struct call *call, const json_t *params, struct job ***ret_jobs, size_t *ret_count);
