// job_spec: the command line of run and start as a job's spec.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "client/client.h"

enum { JOB_SPEC_FILE = 1, JOB_SPEC_NO_STDIN, JOB_SPEC_OTHER = 100 }; // ids of options; others begin there

#define JOB_SPEC_ARGUMENTS \
    { "spec", "FILE|-", "the spec as JSON, taken as it is; options go over it", JOB_SPEC_FILE }

struct job_spec {
    json_t *spec;     // owned
    const char *file; // --spec
    bool no_stdin;    // -n
    bool streams;     // stdin can be fed while the job runs; else it is read to its end before
};

// Handles an option of the table above or one that mirrors the spec. Returns 0 or EXIT_USAGE after complaining.
int job_spec_option(struct client *client, struct job_spec *job, int id, const char *value);

// After all options: reads the file, adds the command and what is the caller's, and checks the whole.
// `method`: for which. Returns 0, EXIT_USAGE after complaining, or -1 after saying what failed.
int job_spec_finish(struct client *client, struct job_spec *job, const char *method);
