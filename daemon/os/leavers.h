// leavers: processes of jobs that moved themselves, or had themselves moved, out of the cgroups of jobs: to be expected
// where the hierarchy is delegated to whose jobs these are. Once their parents are over they come to the keeper.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct leavers;

// `path`: the directory that the cgroups of jobs are in. `began`: there were no jobs before, so that whoever is there is
// none of theirs. Returns 0 or a negative errno.
int leavers_new(pid_t keeper, const char *path, bool began, struct leavers **ret_leavers);
void leavers_free(struct leavers *leavers); // NULL is allowed

// Whether some have come since the last look, or too many are there to look at. Of which job is not known.
bool leavers_came(struct leavers *leavers);
