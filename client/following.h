// following: a job in the foreground: its output written out, this process's stdin or keyboard given to it. Where the
// connection is lost and the daemon lives, or lives again, it is made anew and all goes on from where it was.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"

enum { FOLLOWING_DETACHED = 1 };

// Runs the spec (taken over) to its end, its output losslessly written out, or left to the record (--json); this process's
// signals are forwarded. `reads`: where the job has a terminal or its stdin is "stream", this process's stdin is given to it.
// Connected already. Returns 0 and the final record, to be json_decref'ed, or -1 after saying why not.
int following_run(struct client *client, json_t *spec, bool reads, json_t **ret_job);

// Joins a job that others have started: its latest output and what comes, until it ends (0 and its record) or one
// detaches (FOLLOWING_DETACHED). A signal that ends supctl detaches first. `record`: of the job. -1 after saying why.
int following_attach(struct client *client, const json_t *record, json_t **ret_job);
