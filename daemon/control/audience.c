// Lists of watchers on jobs.
#include "daemon/control/audience.h"

#include <utlist.h>

#include "common/util.h"

struct audience *audience_get(struct job *job) {
    if (!job->audience)
        job->audience = calloc(1, sizeof(struct audience));
    return job->audience;
}

void audience_drop(struct job *job) {
    free(job->audience);
    job->audience = NULL;
}

int watch_begin(struct watch *watch, struct job *job) {
    struct audience *audience = audience_get(job);
    if (!audience)
        return -ENOMEM;
    watch->job = job;
    runner_hold(job);
    DL_APPEND(audience->watches, watch);
    return 0;
}

void watch_end(struct watch *watch, struct runner *runner) {
    if (!watch->job)
        return;
    struct job *job = TAKE_PTR(watch->job);
    struct audience *audience = job->audience;
    DL_DELETE(audience->watches, watch);
    bool last = !audience->watches && !audience->lease;
    // A forgotten job goes with its last reference, and then nobody is left to free this.
    if (last && job->forgotten)
        audience_drop(job);
    runner_release(runner, job);
}

void audience_tell(struct job *job, enum watch_event event, const struct piece *piece) {
    struct audience *audience = job->audience;
    struct watch *watch, *next;
    if (!audience)
        return;
    DL_FOREACH_SAFE(audience->watches, watch, next) {
        watch->notify(watch, event, piece);
    }
}
