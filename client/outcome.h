// outcome: how a job ended, said to the person who ran it. Nothing is said of a command that ended by itself.
#pragma once

#include <jansson.h>

// The reason of a final job, borrowed from the record; NULL: not final.
const char *outcome_reason(const json_t *job);
// The rest of it: what failed, after how long, by whom; "" where the reason says all. Returns `text`.
const char *outcome_detail(const json_t *job, char text[512]);
// Says on stderr what the exit code alone does not: not executable, timed out, killed and by whom, lost.
void outcome_tell(const json_t *job);
