// The reason of a job's end.
#include "daemon/core/outcome.h"

#include <signal.h>
#include <stdlib.h>

enum reason outcome_reason(const struct outcome *outcome, bool launched) {
    if (outcome->stage != STAGE_NONE)
        return REASON_SPAWN_FAILED;
    if (outcome->cause.reason != REASON_NONE)
        return outcome->cause.reason;
    if (!launched || !outcome->end.known)
        return REASON_LOST;
    if (outcome->oom && outcome->end.signal == SIGKILL)
        return REASON_OOM;
    return outcome->end.signal ? REASON_SIGNALED : REASON_EXITED;
}

bool reason_is_timeout(enum reason reason) {
    return reason == REASON_TIMEOUT || reason == REASON_IDLE_TIMEOUT || reason == REASON_CPU_TIMEOUT ||
           reason == REASON_QUEUE_TIMEOUT;
}

void outcome_done(struct outcome *outcome) {
    free(outcome->survivors);
    outcome->survivors = NULL;
    outcome->survivor_count = 0;
}
