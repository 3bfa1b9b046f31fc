// Lists of users and groups.
#include "daemon/core/access.h"

#include "common/util.h"

int access_add(struct access *access, enum access_kind kind, const char *name, int64_t id) {
    if (access->count == ACCESS_MAX)
        return -ENOSPC;
    if (name && strlen(name) >= ACCESS_NAME)
        return -ENAMETOOLONG;
    struct access_entry *entry = &access->entries[access->count++];
    entry->kind = kind;
    if (name)
        strcpy(entry->name, name);
    else
        entry->id = id;
    return 0;
}

static bool entry_is_user(const struct access_entry *entry, const struct access_subject *subject) {
    return entry->name[0] ? subject->is_known && streq(entry->name, subject->user) : entry->id == (int64_t)subject->uid;
}

// Nobody has said in which groups one is whom the database does not know.
static bool entry_has_user(const struct access_entry *entry, const struct access_subject *subject) {
    for (size_t i = 0; subject->is_known && i < subject->group_count; i++) {
        const char *name = subject->group_names[i];
        if (entry->name[0] ? name && streq(entry->name, name) : entry->id == (int64_t)subject->groups[i])
            return true;
    }
    return false;
}

static bool access_names(const struct access *access, const struct access_subject *subject, enum access_kind user,
                         enum access_kind group) {
    for (size_t i = 0; i < access->count; i++) {
        const struct access_entry *entry = &access->entries[i];
        if ((entry->kind == user && entry_is_user(entry, subject)) ||
            (entry->kind == group && entry_has_user(entry, subject)))
            return true;
    }
    return false;
}

bool access_administers(const struct access *access, const struct access_subject *subject) {
    return access_names(access, subject, ACCESS_ADMIN, ACCESS_ADMIN_GROUP);
}

bool access_admits(const struct access *access, const struct access_subject *subject) {
    if (!access->is_limited && subject->is_known)
        return true;
    return access_names(access, subject, ACCESS_USER, ACCESS_GROUP) || access_administers(access, subject);
}
