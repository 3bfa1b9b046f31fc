// tree: the leader of a job and all its descendants, as one thing that can be signalled, killed and
// known to be gone.
//
// Three ways hold a tree together: a cgroup v2 of its own, a reaper process of its own, or nothing
// (process group only; for measuring what the others cost). One host a daemon chooses the way.
// All functions run on the loop's thread unless they say otherwise. Callbacks come from the loop, never
// from inside a call of this interface.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/core/outcome.h"
#include "daemon/core/spec.h"
#include "daemon/os/cgroup_control.h"

enum tree_way { TREE_AUTO, TREE_CGROUP, TREE_REAPER, TREE_NONE };

// What becomes of the rest of the tree when the leader ends.
enum tree_rest { TREE_REST_KILL, TREE_REST_WAIT, TREE_REST_KEEP };

struct adopted;
struct descriptors;
struct tree_host;
struct tree;

// What the next worker needs to know of a tree. Descriptors: 0 is none.
struct tree_kept {
    int number; // of its cgroup
    pid_t leader, holder;
    int pidfd, control;
    bool ended;      // the leader
    bool is_foreign; // it is no child of the keeper's: its pidfd alone tells of its end
    bool spoiled;
    struct cgroup_usage before; // of the cgroup, by others
};

struct tree_listener {
    // The leader has ended and was reaped. Once a tree, first of the three.
    void (*leader_exit)(struct tree *tree, const struct leader_exit *end, void *data);
    // Proof that no process of the tree is left. Once a tree, after leader_exit.
    void (*empty)(struct tree *tree, void *data);
    // What held the tree is gone (its reaper was killed), or somebody may have left it: emptiness will never be proven.
    // Instead of empty; leader_exit has been called before it, with known=false if need be.
    void (*unproven)(struct tree *tree, void *data);
    // The answer that tree_cpu has left open, in seconds; and what finding out has cost. Any number of times.
    void (*used)(struct tree *tree, double seconds, double cost, void *data);
};

// Opens the host. `way` TREE_AUTO takes a cgroup where a writable cgroup v2 hierarchy passes a probe
// (mkdir, clone into it, cgroup.kill, populated), else a reaper. A forced way that does not work here
// fails with -EOPNOTSUPP. `name` is unique a daemon and stable across its restarts; leftovers of an earlier
// daemon of that name are killed and removed. Becomes a child subreaper for the reaper way.
// `reaper_fd`: an open descriptor of the supd-reaper program (kept; borrowed), or -1 if there is none.
// `descriptors`: borrowed; each tree gives one back at its end.
// `adopted`: where there is a keeper, whose children orphans become then; borrowed, or NULL. `resumed`: the daemon goes
// on, with trees to be adopted: nothing is killed here, and tree_host_settle says that there are no more.
struct tree_host_parts {
    struct ev_loop *loop;
    enum tree_way way;
    const char *name;
    int reaper_fd;
    struct descriptors *descriptors;
    struct adopted *adopted;
    pid_t keeper; // 0: none
    bool resumed;
};
int tree_host_new(const struct tree_host_parts *parts, struct tree_host **ret_host);
void tree_host_settle(struct tree_host *host);
void tree_host_free(struct tree_host *host);                 // all trees freed before; removes its cgroups where empty
int64_t tree_host_descriptors(const struct tree_host *host); // which it holds, or may come to, besides those of trees
enum tree_way tree_host_way(const struct tree_host *host);
const char *tree_host_why(const struct tree_host *host); // one line, for the log and daemon.info

// Which limits of a tree can be enforced here (a bit each, of those below LIMIT_TREE), and why not all.
unsigned tree_host_limits(const struct tree_host *host, const char **ret_why);

// A tree for one launch, held to `limits` (LIMIT_TREE of them, -1: none; borrowed until it is launched; NULL: to none).
// `listener` and `data` are borrowed and outlive the tree. It holds one descriptor, which the
// caller has taken; it gives that back when it is gone, which is later than tree_free where something lives on.
int tree_new(struct tree_host *host, enum tree_rest rest, const int64_t *limits, const struct tree_listener *listener,
             void *data, struct tree **ret_tree);

// Where the end of its leader is noted before it is reaped, and what the keeper's journal had before it began. Before
// tree_attach.
void tree_note(struct tree *tree, struct leader_exit *end, uint64_t since);
// `is_launching`: what a launcher makes of it is its own until it is through.
void tree_keep(const struct tree *tree, bool is_launching, struct tree_kept *ret_kept);
int tree_control(const struct tree *tree); // of its reaper, -1: none
// A tree of the worker before us, launched. `end`: of its leader, where that is known: it is told from the loop.
int tree_adopt(struct tree_host *host, enum tree_rest rest, const struct tree_kept *kept, struct leader_exit *note,
               uint64_t since, const struct tree_listener *listener, void *data, struct tree **ret_tree);

// Sends one signal to the leader alone. A leader already reaped: -ESRCH.
int tree_signal_leader(struct tree *tree, int sig);
// Sends one signal to every process of the tree, once.
int tree_signal(struct tree *tree, int sig);
// SIGKILLs everything until nothing is left; the end is told by empty or unproven. Idempotent.
void tree_kill(struct tree *tree);

// Writes up to `max` pids of the tree to `pids`. Returns how many were written, or a negative errno.
int tree_pids(struct tree *tree, pid_t *pids, size_t max);
// CPU seconds used by the whole tree since its launch, or at least that much. -EINPROGRESS: `used` will tell; another negative
// errno where nothing can.
int tree_cpu(struct tree *tree, double *ret_seconds);

// What the whole tree has used, in place of what its leader's end told, and whether the kernel's OOM killer ended some
// of it. -EOPNOTSUPP where nothing counts it.
int tree_usage(struct tree *tree, struct usage *usage, bool *ret_oom);

// No more callbacks. Whatever still lives is left alone (policy keep) but the host goes on watching it,
// to take its cgroup or reaper back when it is empty. NULL is allowed.
void tree_free(struct tree *tree);
