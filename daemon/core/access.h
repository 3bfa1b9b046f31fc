// access: who may use the daemon, and who administers it. Pure: names and numbers against what is known of a user.
//
// Root and the daemon's own user are not in it: they may always. Where it is not limited every local user may, which is
// one that the user database knows. Administrators may use it in any case.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum access_kind { ACCESS_USER, ACCESS_GROUP, ACCESS_ADMIN, ACCESS_ADMIN_GROUP };
enum { ACCESS_MAX = 128, ACCESS_NAME = 64 };

struct access_entry {
    enum access_kind kind;
    char name[ACCESS_NAME]; // empty: by number
    int64_t id;
};

// Plain data, to be copied and compared as bytes: zeroed before it is filled.
struct access {
    bool is_limited; // to users and groups, be these none
    size_t count;
    struct access_entry entries[ACCESS_MAX];
};

// What the user database says. Borrowed.
struct access_subject {
    bool is_known; // to the database
    uid_t uid;
    const char *user;
    const gid_t *groups;      // all of them, the primary one too; they count only where it is known
    char *const *group_names; // of each, NULL where it has none
    size_t group_count;
};

// `name` is a user's or a group's name, or NULL for `id`. Returns 0, -ENOSPC, or -ENAMETOOLONG.
int access_add(struct access *access, enum access_kind kind, const char *name, int64_t id);
bool access_admits(const struct access *access, const struct access_subject *subject);
bool access_administers(const struct access *access, const struct access_subject *subject);
