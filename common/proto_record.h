// proto_record: the record types that several methods answer with.
#pragma once

#include "common/proto.h"

extern const struct proto_type proto_state, proto_jobs, proto_chunks, proto_next, proto_gaps, proto_layout, proto_info,
    proto_stats;
