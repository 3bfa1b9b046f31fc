// config: the settings of the daemon: from their table's defaults, a JSON file, and --set.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/access.h"
#include "daemon/os/launcher.h"
#include "daemon/os/tree.h"

struct config {
    enum spawn_way spawn;
    enum tree_way tree;
    int64_t launchers;
    int64_t max_clients, max_calls, max_request_bytes;
    int64_t max_live_jobs;
    int64_t output_bytes;
    enum config_store { STORE_SQLITE, STORE_NONE } store;
    enum config_store_full { STORE_FULL_RUN, STORE_FULL_REFUSE } store_full;
    int64_t history_jobs, history_bytes;
    int64_t owner_clients, owner_calls, owner_live_jobs, owner_queued_jobs, owner_queued_bytes, owner_output_bytes;
    int64_t owner_descriptors, owner_history_jobs, owner_history_bytes;
    enum config_privileges { PRIVILEGES_ANY, PRIVILEGES_NO_NEW } privileges; // of jobs
    struct access access;
};

// Settings in memory that outlives the worker: what was reloaded counts for the next one too, not what it was at the start.
struct config_kept {
    int now; // which of the two
    struct config of[2];
};

// Puts them there as one: a worker that dies meanwhile leaves those before.
void config_keep(struct config_kept *kept, const struct config *config);
const struct config *config_kept_now(const struct config_kept *kept);

void config_init(struct config *config);
// Reads a file, which must be root's or our own and nobody else's to write to. One that is not there is an error only where
// `required`. On failure `why` says what is wrong, where.
int config_read(struct config *config, const char *path, bool required, char why[256]);
// One "KEY=VALUE". Returns 0 or -EINVAL with `why`.
int config_set(struct config *config, const char *assignment, char why[256]);
// The names of settings that differ and can't be changed while the daemon runs, at most `max`. Returns how many. They stay
// as they are in `to`; the others are taken over from `from`.
int config_change(struct config *to, const struct config *from, const char **names, int max);
// Writes the settings, their defaults and what they mean to stdout: part of --help.
void config_help(void);
