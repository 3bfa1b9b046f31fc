// cgroup: a directory of the cgroup v2 hierarchy with one numbered cgroup a job, reused when it is empty.
//
// Facts: cgroup.kill kills a whole subtree, also what forks meanwhile (cgroups(7), Linux 5.14); cgroup.events
// says populated and frozen, and its changes come by inotify.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/os/cgroup_control.h"
#include "daemon/os/cgroup_files.h"

struct cgroup_host;

// Finds the writable hierarchy, makes the directory `name` under the daemon's own cgroup, clears what an
// earlier daemon left there, and tries it out. Returns 0, or a negative errno, in some cases with `why`.
// `resumed`: the daemon goes on: what is there is left alone until cgroup_host_settle, which removes what is empty and was
// not claimed.
// `keeper`: of this process, 0: none. `open_max`: cgroups whose files are held open, CGROUP_FILES descriptors each.
int cgroup_host_new(struct ev_loop *loop, const char *name, pid_t keeper, bool resumed, int open_max,
                    struct cgroup_host **ret_host, char why[160]);
void cgroup_claim(struct cgroup_host *host, int number);
void cgroup_host_settle(struct cgroup_host *host);
void cgroup_host_free(struct cgroup_host *host); // removes what is empty. NULL is allowed
const char *cgroup_host_path(const struct cgroup_host *host);
unsigned cgroup_host_controllers(const struct cgroup_host *host, const char **ret_why); // that jobs have; why not all

// One that is empty, or, always where it is to be fresh, does not exist yet; and what was used in it before. It must stay
// at its place in memory until it is given back.
void cgroup_take(struct cgroup_host *host, bool fresh, struct cgroup *ret_cgroup, struct cgroup_usage *ret_used);
void cgroup_launched(struct cgroup_host *host, const struct cgroup *cgroup); // no launcher uses it any more
// Back. `used`: it can be reused, as it is empty, not frozen, without limits, and cgroup.kill was never used in it, and
// that is what was used in it by now. NULL: it is removed. One that was
// killed must go: what is cloned into it later with CLONE_INTO_CGROUP is killed at birth (seen on Linux 6.18: the fork
// compares the kill count of the parent's cgroup with that of the target).
void cgroup_give(struct cgroup_host *host, struct cgroup *cgroup, const struct cgroup_usage *used);

// Its directory, made if need be, on the launcher's thread. Returns a descriptor, which is the caller's only where it is
// also in *ret_own (else left alone), or a negative errno.
int cgroup_open(struct cgroup_host *host, const struct cgroup *cgroup, int *ret_own);

enum { CGROUP_POPULATED = 1, CGROUP_FROZEN = 2, CGROUP_GONE = 4 };
int cgroup_state(const struct cgroup_host *host, const struct cgroup *cgroup); // flags, or a negative errno
int cgroup_kill(const struct cgroup_host *host, int number);
// The pids in it and below, at most `max` of them. Returns how many were written, or a negative errno.
int cgroup_pids(const struct cgroup_host *host, int number, pid_t *pids, size_t max);
int cgroup_usage(const struct cgroup_host *host, const struct cgroup *cgroup, bool all, struct cgroup_usage *ret_usage);
bool cgroup_holds(const struct cgroup_host *host, int number, pid_t pid);

// inotify on cgroup.events. `changed` is called from the loop.
void cgroup_host_listen(struct cgroup_host *host, void (*changed)(int watch, void *data), void *data);
int cgroup_watch(struct cgroup_host *host, int number);
void cgroup_unwatch(struct cgroup_host *host, int watch);
