// Changing a live job: its deadlines, its labels, whose lease it is.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/keeping.h"
#include "daemon/control/methods.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"

int method_job_lease(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    int r = target_own(call, params, &job);
    if (r < 0)
        return r;
    session_lease(call->session, job); // a final one has nothing to be killed: no error
    *ret_result = record_answer(call->session->control, job, -1, now_mono());
    return *ret_result ? 0 : -ENOMEM;
}

// Seconds from now; null, which stays in these params, removes: 0. Absent: -1.
static double deadline_of(const json_t *params, const char *key) {
    const json_t *value = json_object_get(params, key);
    return !value ? -1 : json_is_null(value) ? 0 : json_number_value(value);
}

static int update_check(struct call *call, const struct job *job, double timeout, double idle_timeout) {
    struct refusal *refusal = &call->refusal;
    bool captured = spec_captures(&job->spec, STREAM_OUT) || spec_captures(&job->spec, STREAM_ERR);
    if (idle_timeout > 0 && !captured) {
        snprintf(refusal->field, sizeof(refusal->field), "idle_timeout");
        snprintf(refusal->why, sizeof(refusal->why), "needs a captured stream");
        return -EINVAL;
    }
    if (timeout < 0 && idle_timeout < 0)
        return 0;
    if (job_is_final(job) || job->life.stopping) {
        snprintf(refusal->what, sizeof(refusal->what), "job %lld is %s: its deadlines are past", (long long)job->id,
                 job_is_final(job) ? "final" : "being stopped");
        return -EBUSY;
    }
    return 0;
}

int method_job_update(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    struct control *control = call->session->control;
    double timeout = deadline_of(params, "timeout"), idle_timeout = deadline_of(params, "idle_timeout");
    int r = target_own(call, params, &job);
    if (r == 0)
        r = update_check(call, job, timeout, idle_timeout);
    if (r == 0 && json_object_get(params, "labels"))
        r = keep_labels(control, job, params, &call->refusal.limit);
    if (r < 0)
        return r;
    if (timeout >= 0 || idle_timeout >= 0)
        runner_update(job, timeout, idle_timeout);
    *ret_result = record_answer(control, job, -1, now_mono());
    return *ret_result ? 0 : -ENOMEM;
}
