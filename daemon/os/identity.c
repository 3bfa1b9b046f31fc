// A user from the user database.
#include "daemon/os/identity.h"

#include <pwd.h>
#include <stdio.h>

#include "common/util.h"

void identity_done(struct identity *identity) {
    free(identity->user);
    free(identity->home);
    free(identity->shell);
    *identity = (struct identity){0};
}

int identity_open(uid_t uid, struct identity *ret_identity) {
    struct passwd record, *found = NULL;
    char space[16384], number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    if (getpwuid_r(uid, &record, space, sizeof(space), &found) != 0)
        found = NULL;
    struct identity identity = {
        .uid = uid,
        .user = strdup(found ? found->pw_name : number),
        .home = strdup(found && found->pw_dir[0] == '/' ? found->pw_dir : "/"),
        .shell = strdup(found && found->pw_shell[0] ? found->pw_shell : "/bin/sh"),
    };
    if (!identity.user || !identity.home || !identity.shell) {
        identity_done(&identity);
        return -ENOMEM;
    }
    *ret_identity = identity;
    return 0;
}
