// archive: jobs that left memory for the history, as jobs again for as long as a request looks at them.
#pragma once

#include "daemon/control/control.h"
#include "daemon/store/history.h"

// Final jobs of the history; NULL: none such. Valid until archive_release, and as long as somebody references them. However
// often one is asked for, there is one of it.
struct job *archive_find(struct control *control, int64_t id, int64_t owner); // or HISTORY_ANYBODY's
struct job *archive_find_name(struct control *control, uid_t owner, const char *name);
struct job *archive_find_key(struct control *control, uid_t owner, const char *key);
// A job is going, which may have been one of these.
void archive_gone(struct control *control, struct job *job);
// Before the next job of a long list: what was looked at goes. Also at the end of each request.
void archive_release(struct control *control);
// Why jobs are not written to it now, or NULL. What has happened to the machine's files is for those who administer it.
const char *archive_trouble(const struct control *control, bool administers);
// No longer to be found, and told so.
void archive_forget(struct control *control, int64_t id, uid_t owner);

extern const struct history_listener archive_listener; // its data is the control
