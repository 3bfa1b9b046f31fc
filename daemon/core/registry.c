// Jobs by id, name and key, over uthash and utlist.
#include "daemon/core/registry.h"

#include <stdio.h>
#include <utlist.h>

#include "common/util.h"

// Names and keys are the owner's own: the hash key is "UID/text".
struct entry {
    struct job *jobs; // of a name: newest first. Of a key: the one
    UT_hash_handle hh;
    char text[];
};

struct registry {
    struct job *ids;    // hash
    struct job *newest; // list by newer/older, head is the newest
    struct job *finals; // list by final_prev/final_next, head is the oldest
    struct entry *names, *keys;
    int64_t next_id;
    size_t final_count;
};

struct registry *registry_new(int64_t first_id) {
    struct registry *r = calloc(1, sizeof(*r));
    if (r)
        r->next_id = first_id;
    return r;
}

void registry_free(struct registry *registry) {
    free(registry);
}

static struct entry *entry_find(struct entry *const *table, uid_t owner, const char *text) {
    char key[300];
    struct entry *e;
    int n = snprintf(key, sizeof(key), "%u/%s", (unsigned)owner, text);
    HASH_FIND(hh, *table, key, (size_t)n, e);
    return e;
}

static struct entry *entry_get(struct entry **table, uid_t owner, const char *text) {
    struct entry *e = entry_find(table, owner, text);
    if (e)
        return e;
    size_t size = strlen(text) + 16;
    e = calloc(1, sizeof(*e) + size);
    if (!e)
        return NULL;
    int n = snprintf(e->text, size, "%u/%s", (unsigned)owner, text);
    HASH_ADD_KEYPTR(hh, *table, e->text, (size_t)n, e);
    if (e->hh.tbl)
        return e;
    free(e);
    return NULL;
}

static void entry_drop(struct entry **table, struct entry *e) {
    if (e->jobs)
        return;
    HASH_DELETE(hh, *table, e);
    free(e);
}

// The job's entries, made where they are missing. On failure none is left behind.
static int registry_claim(struct registry *r, const struct job *job, struct entry **ret_name, struct entry **ret_key) {
    struct entry *name = job->spec.name ? entry_get(&r->names, job->owner, job->spec.name) : NULL;
    if (job->spec.name && !name)
        return -ENOMEM;
    if (name && name->jobs && !job_is_final(name->jobs))
        return -EEXIST;
    struct entry *key = job->spec.key ? entry_get(&r->keys, job->owner, job->spec.key) : NULL;
    if (job->spec.key && (!key || key->jobs)) {
        if (name)
            entry_drop(&r->names, name);
        return key ? -EEXIST : -ENOMEM;
    }
    *ret_name = name;
    *ret_key = key;
    return 0;
}

int registry_add(struct registry *r, struct job *job) {
    struct entry *name, *key;
    int result = registry_claim(r, job, &name, &key);
    if (result < 0)
        return result;
    if (job->id == 0)
        job->id = r->next_id;
    HASH_ADD(by_id, r->ids, id, sizeof(job->id), job);
    if (!job->by_id.tbl) {
        if (name)
            entry_drop(&r->names, name);
        if (key)
            entry_drop(&r->keys, key);
        return -ENOMEM;
    }
    r->next_id = MAX(r->next_id, job->id + 1);
    if (key)
        key->jobs = job;
    if (name)
        DL_PREPEND2(name->jobs, job, name_newer, name_older);
    DL_PREPEND2(r->newest, job, newer, older);
    return 0;
}

void registry_finalize(struct registry *r, struct job *job) {
    DL_APPEND2(r->finals, job, final_prev, final_next);
    r->final_count++;
}

void registry_remove(struct registry *r, struct job *job) {
    if (job->final_prev) {
        DL_DELETE2(r->finals, job, final_prev, final_next);
        r->final_count--;
    }
    if (job->spec.name) {
        struct entry *name = entry_find(&r->names, job->owner, job->spec.name);
        DL_DELETE2(name->jobs, job, name_newer, name_older);
        entry_drop(&r->names, name);
    }
    if (job->spec.key) {
        struct entry *key = entry_find(&r->keys, job->owner, job->spec.key);
        key->jobs = NULL;
        entry_drop(&r->keys, key);
    }
    DL_DELETE2(r->newest, job, newer, older);
    HASH_DELETE(by_id, r->ids, job);
}

struct job *registry_find(const struct registry *r, int64_t id) {
    struct job *job;
    HASH_FIND(by_id, r->ids, &id, sizeof(id), job);
    return job;
}

struct job *registry_find_name(const struct registry *r, uid_t owner, const char *name) {
    struct entry *e = entry_find(&r->names, owner, name);
    return e ? e->jobs : NULL;
}

struct job *registry_find_key(const struct registry *r, uid_t owner, const char *key) {
    struct entry *e = entry_find(&r->keys, owner, key);
    return e ? e->jobs : NULL;
}

struct job *registry_oldest_final(const struct registry *r) {
    return r->finals;
}

size_t registry_count(const struct registry *r) {
    return HASH_CNT(by_id, r->ids);
}

size_t registry_final_count(const struct registry *r) {
    return r->final_count;
}

struct job *registry_newest(const struct registry *r) {
    return r->newest;
}

static bool filter_passes(const struct registry_filter *f, const struct job *job) {
    if (f->by_state && !(f->states & (1u << job_state(job))))
        return false;
    if (f->name && (!job->spec.name || !streq(job->spec.name, f->name)))
        return false;
    for (size_t i = 0; i < f->label_count; i++) {
        const char *value = spec_label(&job->spec, f->labels[i].name);
        if (!value || !streq(value, f->labels[i].value))
            return false;
    }
    return true;
}

struct job *registry_next(const struct registry *r, const struct registry_filter *f) {
    struct job *job = r->newest;
    if (f->before > 0) {
        struct job *last = registry_find(r, f->before);
        job = last ? last->older : job;
    }
    // The cursor's job may have been forgotten: then the walk is from the newest on.
    while (job && ((f->before > 0 && job->id >= f->before) || !filter_passes(f, job)))
        job = job->older;
    return job;
}
