// dispatch: from a line to handlers, by the protocol's table.
#pragma once

#include <stddef.h>

#include "daemon/control/call.h"

void dispatch_line(struct session *session, const char *line, size_t size);
void dispatch_value(struct session *session, json_t *value); // a line's, taken over
// Batches take no more of a turn of the loop than their user has of it; then they go on in the next.
void dispatch_go_on(struct control *control);
void dispatch_finish(struct control *control); // all of them, at once: nobody waits any more
void dispatch_end(struct session *session);    // it is going
// The handler of a method, or NULL: for the test that holds the handlers against the table.
call_handler dispatch_handler(const char *method);
