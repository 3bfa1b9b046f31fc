// identity: the user that jobs run as, from the user database.
#pragma once

#include <sys/types.h>

struct identity {
    uid_t uid;
    char *user, *home, *shell; // owned, never NULL once opened
};

// Looks a user up; one that the database does not know gets its number as name, / as home and /bin/sh.
// May read files: not for the path of every job. Returns 0 or -ENOMEM.
int identity_open(uid_t uid, struct identity *ret_identity);
void identity_done(struct identity *identity);
