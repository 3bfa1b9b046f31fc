// feed: a call of job.input that waits for the job's pipe.
#pragma once

#include "daemon/control/call.h"

struct feed;
void feed_drop(struct feed *feed); // its session is gone: no answer, but the bytes are delivered
