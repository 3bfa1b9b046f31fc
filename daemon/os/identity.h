// identity: a user that jobs run as, from the user database: what a login of theirs would have.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Shared by references, on one thread; not changed once it is made.
struct identity {
    int references;
    bool is_known; // to the database
    uid_t uid;
    gid_t gid;
    char *user, *home, *shell; // owned, never NULL
    const char *cwd;           // where they begin: home, or / where that was no directory or was not looked at
    gid_t *groups;             // owned: all of them, the primary one too (getgrouplist(3))
    char **group_names;        // owned: of each, NULL where it has none
    size_t group_count;
    double since; // when it began to be looked up; monotonic seconds
};

// Looks a user up, by name where one is given; a name of digits is a number where nobody is called so. A number that the
// database does not know gets itself as name, / as home, /bin/sh, and itself as its one group. May read files, and ask
// other machines: not on the loop's thread once it runs. Returns 0 with one reference, -ESRCH: no such
// name; or another negative errno: nobody can tell now.
int identity_open(const char *name, uid_t uid, struct identity **ret_identity);
// The same with a look at their home, which may be on a machine that never answers.
int identity_open_home(const char *name, uid_t uid, struct identity **ret_identity);
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity); // NULL is allowed
