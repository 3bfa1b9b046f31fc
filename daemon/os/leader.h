// leader: the first process of a job, by its pidfd: its end, its usage, signals that can only reach itself. It is a child
// of this worker, watched here, or of one before it: then the keeper reaps it, and the end comes by the journal.
#pragma once

#include <ev.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <uthash.h>

#include "daemon/core/outcome.h"

struct leader {
    pid_t pid;
    int pidfd; // owned; -1: none, or reaped
    struct ev_io io;
    struct leader_held *held; // owned, or NULL: somebody who traces it has its end
    struct leader_exit *note; // borrowed, or NULL: where its end is written before it is reaped
    uint64_t since;           // ends that the keeper's journal has before that are of others
    void *data;               // of who waits for an adopted one
    void (*told)(struct leader *leader, const struct leader_exit *end);
    int spent; // owned, 0: none: its pidfd once it is reaped, while a record may still name it; leader_close closes it
    bool is_adopted;
    bool is_foreign;         // nobody's child that we know of: waits for its pidfd
    struct foreign *foreign; // owned by the adopted, while it waits so
    UT_hash_handle by_pid;
};

// The leaders that others had started, by their pids; foreign ones by their pidfds, which on Linux 6.15 and newer tell how
// they ended (PIDFD_GET_INFO with PIDFD_INFO_EXIT), elsewhere only that they did.
struct adopted;
struct kept_head;
int adopted_new(struct ev_loop *loop, struct kept_head *kept, struct adopted **ret_adopted);
void adopted_free(struct adopted *adopted); // NULL is allowed
// From here on `told` is called once with the leader's end, from the loop; not where it has no memory for it: then the leader
// is not is_adopted.
void adopted_add(struct adopted *adopted, struct leader *leader,
                 void (*told)(struct leader *leader, const struct leader_exit *end), void *data);
void adopted_remove(struct adopted *adopted, struct leader *leader);
// What else there is to do when an orphan has ended: `orphaned` is called from the loop.
void adopted_listen(struct adopted *adopted, void (*orphaned)(void *data), void *data);

// `ended` is called from the loop once the leader can be reaped: it calls leader_reap.
void leader_watch(struct leader *leader, struct ev_loop *loop, void (*ended)(struct ev_loop *, struct ev_io *, int),
                  void *data);
// Reaps it: it is over. Where its status is not to be had (it was no child): known = false. Returns false where whoever traces it has
// its end and has not let go of it (ptrace(2)): then it is still there, and `ended` is called again after a while that grows.
bool leader_reap(struct leader *leader, struct ev_loop *loop, struct leader_exit *ret_end);
int leader_signal(const struct leader *leader, int sig);                   // -ESRCH once reaped
void leader_note(struct leader_exit *note, const struct leader_exit *end); // as a whole or not at all
// It has ended. Its descriptor stays open until leader_close: the number, as a record has it, may be another's at once.
void leader_over(struct leader *leader, struct ev_loop *loop);
void leader_close(struct leader *leader);
void leader_done(struct leader *leader, struct ev_loop *loop); // both

// A status of wait4(2) with usage.
struct leader_exit leader_exit_from(int status, const struct rusage *usage);
