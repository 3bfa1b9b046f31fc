// leavers: processes of jobs that moved themselves, or had themselves moved, out of the cgroups of jobs: to be expected
// where the hierarchy is delegated to whose jobs these are. Once their parents are over they come to the keeper.
//
// Which job's somebody was is not known: it may be any that lived when they came.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct leavers;

// `keeper`: to whom they come; 0: none, and nothing is known of anybody. `path`: the directory that the cgroups of jobs are
// in. `began`: there are no jobs yet: whoever is there is none of theirs. `is_live`: whether the cgroup of that number is a
// job's now; `data` is borrowed. Returns 0 or a negative errno.
int leavers_new(pid_t keeper, const char *path, bool began, bool (*is_live)(int number, void *data), void *data,
                struct leavers **ret_leavers);
void leavers_free(struct leavers *leavers); // NULL is allowed

// Looks for those who have come since the last look. Returns how many looks have found some, or could not tell.
unsigned leavers_look(struct leavers *leavers);
unsigned leavers_looked(const struct leavers *leavers); // the same without looking
