// record: jobs as the protocol shows them.
#pragma once

#include <jansson.h>

#include "daemon/control/control.h"

// What a job's client gave costs so many bytes in its record, counted up to `most`. Of several jobs in one answer together
// no more than RECORDS_MOST: a record may be as large as a request, and one job may be named many times.
enum { RECORDS_MOST = 16 << 20 };
size_t record_weight(const struct job *job, size_t most);

// The job record. `inline_bytes`: of output per stream, head and tail halves; -1 or 0: none. A new value, the
// caller's; NULL when memory is out.
json_t *record_job(const struct control *control, const struct job *job, int64_t inline_bytes, double now);
json_t *record_answer(const struct control *control, const struct job *job, int64_t inline_bytes,
                      double now); // {"job": …}

// Puts a value, taken over, into an object or a list. Where memory is out (it is NULL, or there is no room) they are none
// (NULL) from here on: nothing goes out that has lost a part.
void record_set(json_t **object, const char *key, json_t *value);
void record_add(json_t **array, json_t *value);
