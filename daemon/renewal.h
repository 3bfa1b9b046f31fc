// renewal: settings read again, and another program in the place of this one, while jobs run.
#pragma once

#include "daemon/parts.h"

// daemon.reload, with the worker as its data: see struct control.
int renewal_reload(void *worker, const char *later[CONTROL_LATER], char why[256]);
void renewal_on_hangup(struct worker *w); // the same, told to the log
// daemon.reexec: the worker leaves as soon as nothing is under way that only it knows of, or its patience is over.
int renewal_reexec(void *worker);
// The service manager stops us: if it is to start us again, all that runs is left with it, and this says so.
bool renewal_for_manager(struct worker *w);
bool renewal_may_leave(const struct worker *w);
// Leaves everything for the next worker. Returns the exit status that asks the keeper for it.
int renewal_leave(struct worker *w);
