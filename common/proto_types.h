// proto_types: the value types that the protocol's tables share.
#pragma once

#include "common/proto.h"

extern const struct proto_type proto_any, proto_bool, proto_integer, proto_count, proto_size, proto_duration,
    proto_duration0, proto_instant, proto_elapsed, proto_string, proto_text, proto_name, proto_key, proto_labels,
    proto_filter_labels, proto_signal, proto_id, proto_ids, proto_offset, proto_pid, proto_encoding, proto_bytes,
    proto_arg, proto_stream_name, proto_stream_sel, proto_empty, proto_map_any, proto_range, proto_ranges, proto_rows;
