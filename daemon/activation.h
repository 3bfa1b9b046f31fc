// activation: what the service manager hands to us at our start (sd_listen_fds(3)), and what we leave with it in a restart.
//
// In a restart of the service the descriptors of all that runs wait in the manager's store, each under its number
// ("f17"), with the memory that is kept ("kept"); the next daemon puts them back to those numbers. The jobs are nobody's
// children then but the manager's: how they ended is told by their pidfds (PIDFD_GET_INFO, Linux 6.15), or by their reapers.
#pragma once

#include "common/log.h"
#include "daemon/os/kept.h"

struct activation {
    int listener; // a socket that listens for us; -1: none
    int kept;     // memory that an earlier daemon left; -1: none
};

// Takes what there is, and puts descriptors back where they were. Before anything else is opened.
void activation_take(struct activation *activation);
// Whether the manager is about to start us again: then what runs is to be left with it.
bool activation_is_restart(bool system);
// Leaves the descriptors, and the memory last, with the manager. Returns 0 or a negative errno.
int activation_leave(struct kept *kept, const int *fds, size_t count);
