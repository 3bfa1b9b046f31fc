// cgroup_files: of a few cgroups the directory and the files that each job needs, held open: opening them anew costs more
// than all that is done with them (13 of some 20 us a job, measured).
//
// On the loop, but for cgroup_files_open and _directory, which the launcher calls while the cgroup is being launched.
#pragma once

#include <stdbool.h>

struct cgroup_files;

enum { CGROUP_FILES = 3 }; // descriptors of one

struct cgroup {
    int number;
    int place; // among those that are held open; -1: none
};

// Of `max` cgroups at most; 0 is allowed. Returns NULL when memory is out.
struct cgroup_files *cgroup_files_new(int max);
void cgroup_files_free(struct cgroup_files *files); // NULL is allowed

// A place for one that is going to be launched, if it has none and there is one: else that of one whose job has run longest
// or ran before others. `cgroup` stays where it is until it is pooled or given up.
void cgroup_files_take(struct cgroup_files *files, struct cgroup *cgroup);
void cgroup_files_launched(struct cgroup_files *files, const struct cgroup *cgroup);
void cgroup_files_pool(struct cgroup_files *files,
                       const struct cgroup *cgroup);                       // nobody uses it now; it keeps its place
void cgroup_files_give(struct cgroup_files *files, struct cgroup *cgroup); // closes them

// `dir` is taken over. Returns whether it was: not where it has no place.
bool cgroup_files_open(struct cgroup_files *files, const struct cgroup *cgroup, int dir);
// Borrowed descriptors; -1: not open.
int cgroup_files_directory(const struct cgroup_files *files, const struct cgroup *cgroup);
int cgroup_files_events(const struct cgroup_files *files, const struct cgroup *cgroup);
int cgroup_files_cpu(const struct cgroup_files *files, const struct cgroup *cgroup);
