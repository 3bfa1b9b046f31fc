// access: users and groups by name and number.
#include "common/util.h"
#include "daemon/core/access.h"
#include "tests/unit/suite.h"

static const gid_t groups[] = {1000, 27};
static char *const group_names[] = {(char *)(uintptr_t) "ann", NULL};
static const struct access_subject ann = {
    .is_known = true, .uid = 1000, .user = "ann", .groups = groups, .group_names = group_names, .group_count = 2};
static const struct access_subject stranger = {.is_known = false, .uid = 4711, .user = "4711"};
static struct access access_rules;

static void setup(void) {
    access_rules = (struct access){0};
}

static void add(enum access_kind kind, const char *name, int64_t id) {
    access_rules.is_limited = access_rules.is_limited || kind == ACCESS_USER || kind == ACCESS_GROUP;
    ck_assert_int_eq(access_add(&access_rules, kind, name, id), 0);
}

START_TEST(without_rules_whoever_is_known_may) {
    ck_assert(access_admits(&access_rules, &ann));
    ck_assert(!access_admits(&access_rules, &stranger));
    ck_assert(!access_administers(&access_rules, &ann));
}
END_TEST

START_TEST(a_limit_to_nobody_lets_nobody_in) {
    access_rules.is_limited = true;
    ck_assert(!access_admits(&access_rules, &ann));
    add(ACCESS_ADMIN, "ann", 0);
    ck_assert(access_admits(&access_rules, &ann));
}
END_TEST

START_TEST(users_by_name_and_number) {
    add(ACCESS_USER, "bob", 0);
    ck_assert(!access_admits(&access_rules, &ann));
    add(ACCESS_USER, NULL, 1000);
    ck_assert(access_admits(&access_rules, &ann));
    ck_assert(!access_admits(&access_rules, &stranger));
    add(ACCESS_USER, "4711", 0); // its number is no name
    ck_assert(!access_admits(&access_rules, &stranger));
    add(ACCESS_USER, NULL, 4711);
    ck_assert(access_admits(&access_rules, &stranger));
}
END_TEST

START_TEST(groups_by_name_and_number) {
    add(ACCESS_GROUP, "sudo", 0); // 27 has no name here
    ck_assert(!access_admits(&access_rules, &ann));
    add(ACCESS_GROUP, NULL, 27);
    ck_assert(access_admits(&access_rules, &ann));
    ck_assert(!access_admits(&access_rules, &stranger));
    setup();
    add(ACCESS_GROUP, "ann", 0);
    ck_assert(access_admits(&access_rules, &ann));
}
END_TEST

// Whom the database does not know has a number in place of a group, and that may be some group's.
START_TEST(who_is_not_known_is_in_no_group) {
    const gid_t number = 4711;
    char *const name = (char *)(uintptr_t) "corp";
    struct access_subject invented = stranger;
    invented.groups = &number;
    invented.group_names = &name;
    invented.group_count = 1;
    add(ACCESS_ADMIN_GROUP, "corp", 0);
    add(ACCESS_GROUP, NULL, 4711);
    ck_assert(!access_administers(&access_rules, &invented));
    ck_assert(!access_admits(&access_rules, &invented));
    add(ACCESS_ADMIN, NULL, 4711);
    ck_assert(access_administers(&access_rules, &invented));
}
END_TEST

START_TEST(administrators_are_named_as_such) {
    add(ACCESS_USER, "ann", 0);
    ck_assert(!access_administers(&access_rules, &ann));
    add(ACCESS_ADMIN_GROUP, NULL, 27);
    ck_assert(access_administers(&access_rules, &ann));
    ck_assert(!access_administers(&access_rules, &stranger));
    setup();
    add(ACCESS_ADMIN, NULL, 27); // a user's number
    ck_assert(!access_administers(&access_rules, &ann));
    ck_assert(access_admits(&access_rules, &ann)); // nobody said that others may not
}
END_TEST

START_TEST(there_is_an_end_to_it) {
    char name[ACCESS_NAME + 1];
    memset(name, 'a', ACCESS_NAME);
    name[ACCESS_NAME] = 0;
    ck_assert_int_eq(access_add(&access_rules, ACCESS_USER, name, 0), -ENAMETOOLONG);
    ck_assert_int_eq(access_add(&access_rules, ACCESS_USER, name + 1, 0), 0);
    for (int i = 1; i < ACCESS_MAX; i++)
        add(ACCESS_USER, NULL, i);
    ck_assert_int_eq(access_add(&access_rules, ACCESS_USER, NULL, 1), -ENOSPC);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("core/access");
    TCase *group = suite_case(suite, "access", setup, NULL);
    tcase_add_test(group, without_rules_whoever_is_known_may);
    tcase_add_test(group, a_limit_to_nobody_lets_nobody_in);
    tcase_add_test(group, users_by_name_and_number);
    tcase_add_test(group, groups_by_name_and_number);
    tcase_add_test(group, who_is_not_known_is_in_no_group);
    tcase_add_test(group, administrators_are_named_as_such);
    tcase_add_test(group, there_is_an_end_to_it);
    return suite_run(suite);
}
