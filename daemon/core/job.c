// What a job says of itself.
#include "daemon/core/job.h"

enum job_state job_state(const struct job *job) {
    const struct lifecycle *life = &job->life;
    if (job_is_final(job))
        return JOB_FINAL;
    if (life->state == LIFE_STARTING || job->pid <= 0)
        return JOB_STARTING;
    bool waiting = life->state == LIFE_ENDED && life->descendants == DESCENDANTS_WAIT;
    return life->stopping || (life->state >= LIFE_ENDED && !waiting) ? JOB_STOPPING : JOB_RUNNING;
}

double job_elapsed(const struct job *job, double now) {
    if (job->started_mono <= 0)
        return -1;
    return (job->ended_mono > 0 ? job->ended_mono : now) - job->started_mono;
}
