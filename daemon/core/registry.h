// registry: the jobs that are known, by id, by name and by key, newest first.
#pragma once

#include "daemon/core/job.h"

struct registry;

struct registry_filter {
    bool by_state;    // only the states set in `states`
    unsigned states;  // bits of enum job_state
    const char *name; // or NULL
    const struct spec_pair *labels;
    size_t label_count;
    int64_t before; // only ids below it; 0: all
};

// Returns NULL when memory is out. `first_id`: the id of the first job.
struct registry *registry_new(int64_t first_id);
void registry_free(struct registry *registry); // empty before

// Gives the job its id, unless it has one, and takes it in, as the newest; the name must be free among the owner's live jobs. Returns 0, -EEXIST or -ENOMEM.
int registry_add(struct registry *registry, struct job *job);
void registry_remove(struct registry *registry, struct job *job);
// The job has become final: it goes to the end of the line of those to forget.
void registry_finalize(struct registry *registry, struct job *job);

struct job *registry_find(const struct registry *registry, int64_t id);
// The live job of that name, else the newest final one; NULL: none.
struct job *registry_find_name(const struct registry *registry, uid_t owner, const char *name);
struct job *registry_find_key(const struct registry *registry, uid_t owner, const char *key);
struct job *registry_oldest_final(const struct registry *registry);
size_t registry_count(const struct registry *registry);
size_t registry_final_count(const struct registry *registry);

// The newest job that passes the filter, then the next older one with filter->before set to the id of the last. NULL: no more.
struct job *registry_next(const struct registry *registry, const struct registry_filter *filter);
// All jobs, newest first.
struct job *registry_newest(const struct registry *registry);
