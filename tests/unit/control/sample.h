// sample: a control with a registry and a place for output, and jobs of it that nothing has run.
#pragma once

#include "daemon/control/control.h"

struct sample {
    struct control control;
    struct identity *identity;
    char dir[64];
};

void sample_open(struct sample *sample);
void sample_close(struct sample *sample);
// A job that runs since second 100 of both clocks, of argv {"true"} in /; with head and tail bytes for its
// output. `name` may be NULL. Registered for `owner`.
struct job *sample_job(struct sample *sample, uid_t owner, const char *name, int64_t head, int64_t tail);
// The job writes: at the next second of the wall clock.
void sample_write(struct job *job, int stream, const char *data, size_t size);
void sample_close_streams(struct job *job);
// It ends at second 103.5: the outcome is the caller's to fill in.
void sample_end(struct sample *sample, struct job *job, enum reason reason);
