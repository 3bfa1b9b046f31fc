// output: chunks of a job's output on their way to this process's stdout and stderr, in order, never blocking.
// While chunks wait, nothing is read from the daemon, so nothing piles up here.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "client/call.h"
#include "client/sink.h"
#include "client/stored.h"

struct output {
    struct call *call; // borrowed
    struct sink sinks[2];
    struct sink *busy;                    // has not taken all yet
    json_t *waiting;                      // array of chunks and gaps
    size_t next;                          // in it
    int last_error;                       // errno of a write that failed; what comes then is dropped
    void (*moved)(struct output *output); // all is written, or writing failed. May be NULL
    // What to do with bytes instead of writing them out at once; it may call output_write. NULL: output_write.
    void (*filter)(struct output *output, int stream, double at, const char *bytes, size_t size);
    // What to do with a gap instead of telling it at once. NULL: output_gap.
    void (*gap)(struct output *output, int stream, int64_t start, int64_t end);
    void *data;
    struct stored stored; // open: chunks tell offsets in it, and what is written out is acknowledged
    int64_t job;          // then: whose
    json_t *taken;        // owned: {stdout, stderr}, to be acknowledged; or NULL
};

void output_init(struct output *output, struct call *call, void *data);
void output_done(struct output *output);

// Takes chunks and gaps of an answer or notification of job.output.
void output_take(struct output *output, const json_t *answer);
// What waits in the stored streams is forgotten, as nobody keeps it there any more; `next` is set back to before it.
void output_rewind(struct output *output, json_t *next);
// `stream`: 0 is stdout, 1 stderr.
void output_write(struct output *output, int stream, const char *bytes, size_t size);
// Tells that bytes are not kept.
void output_gap(int stream, int64_t start, int64_t end);
// Writes out what a final job's stream keeps, from `stored`, and tells its gaps up to `total`. Runs the loop. Returns 0 or
// -1 after saying why it failed.
int output_extents(struct output *output, int stream, const json_t *extents, int64_t total);
bool output_is_empty(const struct output *output);
// Runs the loop until everything is written, or writing fails. Returns 0, or -1 after saying why it failed.
int output_drain(struct output *output);
