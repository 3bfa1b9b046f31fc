// audience: who watches a job. Each watcher is told of what happens and may leave while being told.
#pragma once

#include "daemon/control/control.h"

enum watch_event { WATCH_STARTED, WATCH_OUTPUT, WATCH_EOF, WATCH_FINAL };

struct piece {
    int stream;
    int64_t offset;
    const char *bytes; // valid during the call
    size_t size;
};

struct watch {
    struct job *job; // referenced while watched; NULL: not watching
    void (*notify)(struct watch *watch, enum watch_event event, const struct piece *piece);
    struct watch *prev, *next;
};

struct audience {
    struct watch *watches;               // list
    struct session *lease;               // whose end kills the job, or NULL
    struct job *lease_prev, *lease_next; // the session's list of leased jobs
};

// The job's audience, made at the first call. NULL when memory is out.
struct audience *audience_get(struct job *job);
void audience_drop(struct job *job); // the job is going: nobody watches it any more

// Starts and ends watching. watch_end is allowed for one that does not watch, and from within its own notify.
int watch_begin(struct watch *watch, struct job *job);
void watch_end(struct watch *watch, struct runner *runner);
void audience_tell(struct job *job, enum watch_event event, const struct piece *piece);
