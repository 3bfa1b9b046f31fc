// notify: messages to the service manager that started us (sd_notify(3)); nothing without one.
#pragma once

#include <stdbool.h>

bool notify_is_there(void);
void notify_send(const char *state);
// Gives a descriptor into the manager's store under a name. Blocks until it is taken. Returns 0 or a negative errno.
int notify_store(int fd, const char *name);
void notify_unstore(const char *name); // all of that name
