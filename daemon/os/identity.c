// A user from the user database.
#include "daemon/os/identity.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"

enum { RECORD_FIRST = 16384, RECORD_MOST = 1 << 20, GROUPS_MOST = 65536 };

struct identity *identity_ref(struct identity *identity) {
    identity->references++;
    return identity;
}

void identity_unref(struct identity *identity) {
    if (!identity || --identity->references > 0)
        return;
    for (size_t i = 0; identity->group_names && i < identity->group_count; i++)
        free(identity->group_names[i]);
    free(identity->group_names);
    free(identity->groups);
    free(identity->user);
    free(identity->home);
    free(identity->shell);
    free(identity);
}

// By which getpwnam(3) may say that there is none; whatever else it says, nothing is known.
static bool is_none(int error) {
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

// Returns 1 where there is one, 0 where there is none, or a negative errno.
static int passwd_find(const char *name, uid_t uid, struct passwd *record, char **ret_space) {
    for (size_t size = RECORD_FIRST; size <= RECORD_MOST; size *= 2) {
        struct passwd *found = NULL;
        char *space = malloc(size);
        if (!space)
            return -ENOMEM;
        int r = name ? getpwnam_r(name, record, space, size, &found) : getpwuid_r(uid, record, space, size, &found);
        if (r == 0 && found) {
            *ret_space = space;
            return 1;
        }
        free(space);
        if (r != ERANGE)
            return is_none(r) ? 0 : -r;
    }
    return 0;
}

static int groups_fill(struct identity *who) {
    int count = 32;
    for (;;) {
        int had = count;
        gid_t *groups = realloc(who->groups, (size_t)count * sizeof(*groups));
        if (!groups)
            return -ENOMEM;
        who->groups = groups;
        if (!who->is_known) {
            groups[0] = who->gid;
            count = 1;
            break;
        }
        if (getgrouplist(who->user, who->gid, groups, &count) >= 0)
            break;
        count = MAX(count, had * 2);
        if (count > GROUPS_MOST)
            return -ENOMEM;
    }
    who->group_count = (size_t)count;
    return 0;
}

// A group without a name, or one whose record is larger than anything sound, is known by its number alone.
static int group_names_fill(struct identity *who) {
    who->group_names = calloc(who->group_count + 1, sizeof(char *));
    _cleanup_free_ char *space = malloc(RECORD_MOST);
    if (!who->group_names || !space)
        return -ENOMEM;
    for (size_t i = 0; i < who->group_count; i++) {
        struct group record, *found = NULL;
        if (getgrgid_r(who->groups[i], &record, space, RECORD_MOST, &found) != 0 || !found)
            continue;
        who->group_names[i] = strdup(record.gr_name);
        if (!who->group_names[i])
            return -ENOMEM;
    }
    return 0;
}

static bool name_number(const char *name, uid_t *ret_uid) {
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (!isdigit((unsigned char)name[0]) || *end || number >= UINT32_MAX)
        return false;
    *ret_uid = (uid_t)number;
    return true;
}

static int identity_fill(struct identity *who, const struct passwd *found) {
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)who->uid);
    who->gid = found ? found->pw_gid : (gid_t)who->uid;
    who->user = strdup(found ? found->pw_name : number);
    who->home = strdup(found && found->pw_dir[0] == '/' ? found->pw_dir : "/");
    who->shell = strdup(found && found->pw_shell[0] ? found->pw_shell : "/bin/sh");
    if (!who->user || !who->home || !who->shell)
        return -ENOMEM;
    who->cwd = "/";
    int r = groups_fill(who);
    return r < 0 ? r : group_names_fill(who);
}

int identity_open(const char *name, uid_t uid, struct identity **ret_identity) {
    struct passwd record;
    _cleanup_free_ char *space = NULL;
    double since = now_mono();
    int found = passwd_find(name, uid, &record, &space);
    if (found == 0 && name) {
        if (!name_number(name, &uid))
            return -ESRCH;
        found = passwd_find(NULL, uid, &record, &space);
    }
    if (found < 0)
        return found;
    struct identity *who = calloc(1, sizeof(*who));
    if (!who)
        return -ENOMEM;
    who->references = 1;
    who->is_known = found > 0;
    who->uid = found > 0 ? record.pw_uid : uid;
    who->since = since;
    int r = identity_fill(who, found > 0 ? &record : NULL);
    if (r < 0) {
        identity_unref(who);
        return r;
    }
    *ret_identity = who;
    return 0;
}

int identity_open_home(const char *name, uid_t uid, struct identity **ret_identity) {
    struct stat st;
    int r = identity_open(name, uid, ret_identity);
    if (r == 0 && stat((*ret_identity)->home, &st) == 0 && S_ISDIR(st.st_mode))
        (*ret_identity)->cwd = (*ret_identity)->home;
    return r;
}
