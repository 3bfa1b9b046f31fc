// identity: a user of the database, and one that it does not know.
#include <grp.h>
#include <pwd.h>

#include "common/util.h"
#include "daemon/os/identity.h"
#include "tests/unit/suite.h"

static int database_error; // 0: it answers

int __real_getpwuid_r(uid_t uid, struct passwd *record, char *space, size_t size, struct passwd **ret_found);
int __wrap_getpwuid_r(uid_t uid, struct passwd *record, char *space, size_t size, struct passwd **ret_found);

int __wrap_getpwuid_r(uid_t uid, struct passwd *record, char *space, size_t size, struct passwd **ret_found) {
    if (database_error == 0)
        return __real_getpwuid_r(uid, record, space, size, ret_found);
    *ret_found = NULL;
    return database_error;
}

static struct identity *opened(const char *name, uid_t uid) {
    struct identity *who = NULL;
    ck_assert_int_eq(identity_open_home(name, uid, &who), 0);
    return who;
}

START_TEST(a_known_user_is_as_the_database_has_it) {
    const struct passwd *root = getpwuid(0);
    ck_assert_ptr_nonnull(root);
    const char *const names[] = {NULL, root->pw_name, "0"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct identity *who = opened(names[i], 0);
        ck_assert(who->is_known);
        ck_assert_uint_eq(who->uid, 0);
        ck_assert_uint_eq(who->gid, root->pw_gid);
        ck_assert_str_eq(who->user, root->pw_name);
        ck_assert_str_eq(who->home, root->pw_dir);
        ck_assert_str_eq(who->shell, root->pw_shell);
        identity_unref(who);
    }
}
END_TEST

START_TEST(groups_are_those_of_a_login) {
    const struct passwd *root = getpwuid(0);
    gid_t groups[256];
    int count = ARRAY_SIZE(groups);
    ck_assert_int_ge(getgrouplist(root->pw_name, root->pw_gid, groups, &count), 0);
    struct identity *who = opened(NULL, 0);
    ck_assert_uint_eq(who->group_count, (size_t)count);
    for (int i = 0; i < count; i++) {
        const struct group *group = getgrgid(groups[i]);
        ck_assert_uint_eq(who->groups[i], groups[i]);
        ck_assert(group ? streq(who->group_names[i], group->gr_name) : who->group_names[i] == NULL);
    }
    identity_unref(who);
}
END_TEST

START_TEST(an_unknown_user_is_a_number_in_the_root) {
    ck_assert_ptr_null(getpwuid(3999999999u));
    struct identity *who = opened(NULL, 3999999999u);
    ck_assert(!who->is_known);
    ck_assert_uint_eq(who->uid, 3999999999u);
    ck_assert_uint_eq(who->gid, 3999999999u);
    ck_assert_str_eq(who->user, "3999999999");
    ck_assert_str_eq(who->home, "/");
    ck_assert_str_eq(who->shell, "/bin/sh");
    ck_assert_uint_eq(who->group_count, 1);
    ck_assert_uint_eq(who->groups[0], 3999999999u);
    identity_unref(who);
}
END_TEST

// What getpwuid(3) names, and any other error.
START_TEST(a_database_that_does_not_answer_knows_nothing) {
    const int none[] = {ENOENT, ESRCH, EBADF, EPERM}, trouble[] = {EIO, EAGAIN, ECONNREFUSED, ETIMEDOUT, EPIPE, EINVAL};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        database_error = none[i];
        struct identity *who = opened(NULL, 0);
        ck_assert(!who->is_known);
        identity_unref(who);
    }
    for (size_t i = 0; i < ARRAY_SIZE(trouble); i++) {
        struct identity *who = NULL;
        database_error = trouble[i];
        ck_assert_int_eq(identity_open(NULL, 0, &who), -trouble[i]);
        ck_assert_ptr_null(who);
    }
    database_error = 0;
}
END_TEST

START_TEST(a_name_that_nobody_has_is_none) {
    struct identity *who = NULL;
    ck_assert_int_eq(identity_open("nobody has this name", 0, &who), -ESRCH);
    ck_assert_int_eq(identity_open("-1", 0, &who), -ESRCH);
    ck_assert_int_eq(identity_open("4294967295", 0, &who), -ESRCH); // (uid_t)-1 means none
    ck_assert_ptr_null(who);
}
END_TEST

START_TEST(the_last_reference_ends_it) {
    struct identity *who = opened(NULL, 0);
    ck_assert_ptr_eq(identity_ref(who), who);
    identity_unref(who);
    ck_assert_str_eq(who->user, getpwuid(0)->pw_name);
    identity_unref(who);
    identity_unref(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/identity");
    TCase *group = suite_case(suite, "identity", NULL, NULL);
    tcase_add_test(group, a_known_user_is_as_the_database_has_it);
    tcase_add_test(group, an_unknown_user_is_a_number_in_the_root);
    tcase_add_test(group, groups_are_those_of_a_login);
    tcase_add_test(group, a_database_that_does_not_answer_knows_nothing);
    tcase_add_test(group, a_name_that_nobody_has_is_none);
    tcase_add_test(group, the_last_reference_ends_it);
    return suite_run(suite);
}
