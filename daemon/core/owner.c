// Owners by uid.
#include "daemon/core/owner.h"

#include "common/util.h"

struct owners {
    struct owner *table; // hash
    struct owner_limits limits;
    uid_t own;
};

struct owners *owners_new(uid_t own, const struct owner_limits *limits) {
    struct owners *owners = calloc(1, sizeof(*owners));
    if (!owners)
        return NULL;
    owners->own = own;
    owners->limits = *limits;
    return owners;
}

static void owner_forget(struct owners *owners, struct owner *owner) {
    HASH_DELETE(by_uid, owners->table, owner);
    free(owner->name);
    free(owner);
}

void owners_free(struct owners *owners, void (*release)(struct claimant *)) {
    if (!owners)
        return;
    struct owner *owner, *next;
    HASH_ITER(by_uid, owners->table, owner, next) {
        release(owner->claimant);
        owner_forget(owners, owner);
    }
    free(owners);
}

void owners_set_limits(struct owners *owners, const struct owner_limits *limits) {
    owners->limits = *limits;
}

const struct owner_limits *owners_limits(const struct owners *owners) {
    return &owners->limits;
}

struct owner *owner_find(const struct owners *owners, uid_t uid) {
    struct owner *owner;
    HASH_FIND(by_uid, owners->table, &uid, sizeof(uid), owner);
    return owner;
}

struct owner *owner_get(struct owners *owners, uid_t uid) {
    struct owner *owner = owner_find(owners, uid);
    if (!owner) {
        owner = calloc(1, sizeof(*owner));
        if (!owner)
            return NULL;
        owner->uid = uid;
        owner->is_exempt = uid == 0 || uid == owners->own;
        owner->output.uid = uid;
        owner->output.limit = owner->is_exempt ? NULL : &owners->limits.output_bytes;
        if (uid == 0)
            owner_set_name(owner, "root");
        HASH_ADD(by_uid, owners->table, uid, sizeof(owner->uid), owner);
        if (!owner->by_uid.tbl) {
            free(owner->name);
            free(owner);
            return NULL;
        }
    }
    owner->references++;
    return owner;
}

struct owner *owners_largest(const struct owners *owners, bool by_bytes) {
    struct owner *largest = NULL;
    for (struct owner *o = owners->table; o; o = o->by_uid.next)
        if (!largest || (by_bytes ? o->final_bytes > largest->final_bytes : o->final_jobs > largest->final_jobs))
            largest = o;
    return largest;
}

void owner_hold(struct owner *owner) {
    owner->references++;
}

void owner_release(struct owners *owners, struct owner *owner) {
    if (owner && --owner->references == 0 && owner->accepted == 0 && owner->output.used == 0 && !owner->claimant)
        owner_forget(owners, owner);
}

void owner_set_name(struct owner *owner, const char *name) {
    if (!name || (owner->name && streq(owner->name, name)))
        return;
    char *copy = strdup(name);
    if (!copy)
        return;
    free(owner->name);
    owner->name = copy;
}
