// launch_queue: launches that wait for a launcher, each claimant's in the order submitted, claimants in turn.
//
// A claimant asks for launches: a client. Where many users are served, those of one user have a parent in common, and it is
// these that take turns: however much one of them asks for, another waits for one launch of theirs at most. No claimant
// has more than its share of the launchers under way at once, so that launches of one that hang leave some to the others.
// All under the launcher's lock, but for references, which are counted on the loop's thread.
#pragma once

#include "daemon/os/launcher.h"

struct claimant {
    int references;
    struct claimant *parent;  // referenced, or NULL
    size_t queued, under_way; // its own, and those of its children
    struct launch *queue;     // list, of one without a parent: its own and its children's
    struct claimant *prev, *next;
};

struct launch_queue {
    struct claimant *turn;  // list of those with something in their queue, whose turn is next first
    struct claimant nobody; // whose launches have no claimant
    size_t count;
    size_t share, parent_share; // of launchers, at most
};

void launch_queue_init(struct launch_queue *queue, int launchers);
void launch_queue_add(struct launch_queue *queue, struct launch *launch);
void launch_queue_remove(struct launch_queue *queue, struct launch *launch);
// The one to begin next: it leaves the queue, and is under way. NULL: none may.
struct launch *launch_queue_begin(struct launch_queue *queue);
void launch_queue_end(struct launch *launch); // it is under way no more
// Whether more than `count` of them may begin now.
bool launch_queue_wants(const struct launch_queue *queue, size_t count);
