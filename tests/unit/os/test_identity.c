// identity: a user of the database, and one that it does not know.
#include <pwd.h>

#include "common/util.h"
#include "daemon/os/identity.h"
#include "tests/unit/suite.h"

START_TEST(a_known_user_is_as_the_database_has_it) {
    struct identity who;
    const struct passwd *root = getpwuid(0);
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(identity_open(0, &who), 0);
    ck_assert_uint_eq(who.uid, 0);
    ck_assert_str_eq(who.user, root->pw_name);
    ck_assert_str_eq(who.home, root->pw_dir);
    ck_assert_str_eq(who.shell, root->pw_shell);
    identity_done(&who);
}
END_TEST

START_TEST(an_unknown_user_is_a_number_in_the_root) {
    struct identity who;
    ck_assert_ptr_null(getpwuid(3999999999u));
    ck_assert_int_eq(identity_open(3999999999u, &who), 0);
    ck_assert_uint_eq(who.uid, 3999999999u);
    ck_assert_str_eq(who.user, "3999999999");
    ck_assert_str_eq(who.home, "/");
    ck_assert_str_eq(who.shell, "/bin/sh");
    identity_done(&who);
}
END_TEST

START_TEST(done_leaves_an_empty_one_that_may_be_done_again) {
    struct identity who;
    ck_assert_int_eq(identity_open(0, &who), 0);
    identity_done(&who);
    ck_assert_ptr_null(who.user);
    ck_assert_ptr_null(who.home);
    ck_assert_ptr_null(who.shell);
    identity_done(&who);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/identity");
    TCase *group = suite_case(suite, "identity", NULL, NULL);
    tcase_add_test(group, a_known_user_is_as_the_database_has_it);
    tcase_add_test(group, an_unknown_user_is_a_number_in_the_root);
    tcase_add_test(group, done_leaves_an_empty_one_that_may_be_done_again);
    return suite_run(suite);
}
