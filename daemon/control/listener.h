// listener: accepts clients on the control socket, as many as there is room for.
#pragma once

#include "daemon/control/control.h"

struct listener;

// Takes the listening descriptor over. Returns 0 or -ENOMEM.
int listener_new(struct control *control, int fd, struct listener **ret_listener);
void listener_free(struct listener *listener);
// A client has left or a job ended: there may be room again.
void listener_resume(struct listener *listener);
