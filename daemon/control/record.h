// record: jobs as the protocol shows them.
#pragma once

#include <jansson.h>

#include "daemon/control/control.h"

// The job record. `inline_bytes`: of output per stream, head and tail halves; -1 or 0: none. A new value, the
// caller's; NULL when memory is out.
json_t *record_job(const struct control *control, const struct job *job, int64_t inline_bytes, double now);
json_t *record_answer(const struct control *control, const struct job *job, int64_t inline_bytes,
                      double now); // {"job": …}
