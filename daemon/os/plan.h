// plan: everything a child needs between its clone and its exec, computed before the clone.
//
// The child runs on borrowed memory (CLONE_VM) with every signal blocked and may use raw system calls
// only, so the plan holds finished arrays: nothing is allocated in the child, and nothing formatted but the next place of a
// search.
// A plan is written by the loop before launcher_submit(), read by one launcher thread, and its result
// fields are written by that thread or the child; the loop reads them after the launch is done.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "daemon/core/outcome.h"
#include "daemon/os/identity.h"

enum { PLAN_LIMITS_MAX = 8 };

enum plan_out {
    PLAN_NULL,    // /dev/null
    PLAN_CAPTURE, // a pipe; its reading end comes back in the launch
    PLAN_FILE,    // path, opened by the child as the job's user, in its cwd
    PLAN_STDOUT,  // stderr only: the same open file as stdout
    PLAN_FD,      // a descriptor given in fd, owned by the plan
    PLAN_PTY,     // stdout only: a terminal, which is all three streams; its master comes back in the launch
};

struct plan_stream {
    enum plan_out kind;
    char *path;  // PLAN_FILE: owned
    bool append; // PLAN_FILE: O_APPEND, else O_TRUNC
    int fd;      // PLAN_FD: owned, else -1
};

struct plan {
    char **argv;        // owned, NULL at the end
    char **envp;        // owned, NULL at the end
    const char *search; // borrowed: directories to look for argv[0] in, with colons between; NULL: it is what to execve
    char *cwd;          // owned
    int stdin_fd;       // owned; -1: /dev/null
    bool stdin_is_ours; // it was made for the job, not given by its client
    uid_t from;         // who has passed what was given
    struct plan_stream out, err;
    unsigned rows, cols; // PLAN_PTY: its size

    mode_t umask;
    bool set_nice;
    int nice;

    // Limits of the job's own, set as the user whom it runs as: none is raised by it beyond what that user may.
    struct plan_limit {
        enum launch_stage stage; // that it is
        int resource;            // of setrlimit(2)
        rlim_t soft, hard;
    } limits[PLAN_LIMITS_MAX];
    int limit_count;

    bool set_identity; // change to uid, gid and groups below (needs privilege)
    uid_t uid;
    gid_t gid;
    gid_t *groups; // owned
    size_t group_count;

    // Result. stage is STAGE_NONE where exec succeeded or the child was killed before it.
    enum launch_stage stage;
    int error; // positive errno of that stage
};

// Fills `plan` with defaults: no stdin, both outputs null, umask 022, descriptors -1.
void plan_init(struct plan *plan);

// The child becomes this user, with their groups. Returns 0 or -ENOMEM.
int plan_set_identity(struct plan *plan, const struct identity *who);

// The child gets this limit as its soft and its hard one (but for RLIMIT_CPU, whose hard one is a second later, so that
// SIGXCPU comes first). `resource` is what setrlimit(2) calls it.
void plan_limit(struct plan *plan, enum spec_limit limit, int resource, int64_t value);

// Sets plan->search: none where argv[0] is empty or has a slash, else the PATH in plan->envp, or the system's default one.
// argv and envp stay as they are from here on.
void plan_resolve(struct plan *plan);

// The next one of a search to try to execve (an empty element is the cwd); `search` moves on, to NULL behind the last. Returns
// false where that is longer than any path may be. For the child too: it is made there, as a job's own PATH may have millions.
bool plan_candidate(const char **search, const char *program, char to[PATH_MAX]);

// Frees and closes all that the plan owns; the plan itself is the caller's. Accepts a half-built plan.
void plan_done(struct plan *plan);
