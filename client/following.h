// following: a job that runs in the foreground: its output written out losslessly, this process's signals forwarded.
#pragma once

#include <jansson.h>

#include "client/call.h"

// Runs the spec (taken over) to its end. Where its stdin is "stream", this process's stdin is fed to it. Returns 0 and the final record, to be json_decref'ed, or -1 after saying why.
int following_run(struct call *call, json_t *spec, json_t **ret_job);
