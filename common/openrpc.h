// openrpc: the protocol's tables as an OpenRPC 1.x document (spec.open-rpc.org).
#pragma once

#include <jansson.h>

// A new document, the caller's; NULL when memory is out. `version`: of the program.
json_t *openrpc_document(const char *version);
