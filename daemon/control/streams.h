// streams: descriptors of a job's stored streams, for those who read them themselves.
#pragma once

#include <jansson.h>

#include "daemon/control/chunks.h"
#include "daemon/control/session.h"

// Opens those of `mask`, stdout first, for the session's account: as they grow, of a live job; its `layout` tells where an
// offset is. A stream that is not captured is empty. Returns how many, or a negative errno: -EMFILE, or -EOPNOTSUPP
// where nothing of a stream is kept.
int streams_open_live(struct session *session, struct job *job, unsigned mask, int fds[STREAM_COUNT],
                      json_t **ret_layout);
// The same of a final job: what is kept, one range after another, and these ranges. -EFBIG: too much to be copied.
int streams_open_final(struct session *session, const struct job *job, unsigned mask, int fds[STREAM_COUNT],
                       json_t **ret_extents);
