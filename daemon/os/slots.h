// slots: low descriptors reserved for the launchers at the start, so that a child copies a short table.
//
// Slots are never closed, only overwritten: a closed one could be taken by any other thread at once.
#pragma once

#include "daemon/os/child.h"

enum { SLOTS_LAUNCHERS = 32 }; // at most

// Those of a worker before us, whose launches left in them whatever they had. Returns 0 or a negative errno.
int slots_reset(const int *slots, int count);
// Fills 0 to 2 where they are closed, and reserves all slots from the lowest free number on. Returns 0 or a negative errno.
int slots_reserve(int launchers, int ret_slots[SLOTS_LAUNCHERS][SLOT_COUNT]);
// Lays a copy of `fd` into a slot; negative: /dev/null again. Returns 0 or a negative errno.
int slot_lay(int slot, int fd, int null);
