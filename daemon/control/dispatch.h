// dispatch: from a line to handlers, by the protocol's table.
#pragma once

#include <stddef.h>

#include "daemon/control/call.h"

void dispatch_line(struct session *session, const char *line, size_t size);
void dispatch_value(struct session *session, json_t *value); // a line's, taken over
// The handler of a method, or NULL: for the test that holds the handlers against the table.
call_handler dispatch_handler(const char *method);
