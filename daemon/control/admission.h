// admission: who a client is, whether they may be one, and whom they may start jobs as.
#pragma once

#include "daemon/control/call.h"
#include "daemon/control/session.h"

// Whether this uid may use the daemon at all, as far as that is known without asking the user database; `why` not.
bool admission_may(const struct control *control, uid_t uid, const char **ret_why);
// A refusal of a client is told in the log, but not each one of somebody who keeps coming.
void admission_log(struct control *control, uid_t uid, pid_t pid, const char *why);
// Finds out who the session's user is. Until that is known nothing is read from it, and then it may be refused.
void admission_begin(struct session *session);
void admission_end(struct session *session); // it is not waited for any more
// Who asks for launches of that user: where one daemon serves many these have a share together. With one reference; NULL when
// memory is out.
struct claimant *admission_claimant(const struct control *control, struct owner *owner);
// The rules or the user database have changed: whoever may not be a client any more is told, and closed. So is who is no
// administrator any more and waits for jobs of others, or follows them.
void admission_review(struct control *control);
// Likewise what the database says of one user now. `data`: the control.
void admission_looked_up(void *data, struct identity *identity);

// Whether requests of a line name users that must be looked up first: then the value is taken over, and dispatched once
// they are known. Nothing more is read meanwhile.
bool admission_park(struct session *session, json_t *value);
// Whether it is somebody: a user of the database, or one whom the settings name by number.
bool admission_knows(const struct control *control, const struct identity *who);
// As whom a job of these params would run. Returns 0, -EPERM, -EINVAL or -EOPNOTSUPP with the refusal; borrowed.
int admission_identity(struct call *call, const json_t *params, struct identity **ret_identity);
