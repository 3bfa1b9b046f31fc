// leader: a direct child watched by its pidfd: its end, its usage, signals that can only reach itself.
#pragma once

#include <ev.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "daemon/core/outcome.h"

struct leader {
    pid_t pid;
    int pidfd; // owned; -1: none, or reaped
    struct ev_io io;
};

// `ended` is called from the loop once the leader can be reaped: it calls leader_reap.
void leader_watch(struct leader *leader, struct ev_loop *loop, void (*ended)(struct ev_loop *, struct ev_io *, int),
                  void *data);
// Reaps it. Where its status is not to be had (it was no child): known = false.
struct leader_exit leader_reap(struct leader *leader, struct ev_loop *loop);
int leader_signal(const struct leader *leader, int sig); // -ESRCH once reaped
void leader_done(struct leader *leader, struct ev_loop *loop);

// A status of wait4(2) with usage.
struct leader_exit leader_exit_from(int status, const struct rusage *usage);
