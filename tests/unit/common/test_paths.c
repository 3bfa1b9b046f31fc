// Tests of the default paths.
#include "common/paths.h"

#include <stdio.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static void expect_tmp(void) {
    char path[100], expected[100];
    snprintf(expected, sizeof(expected), "/tmp/supd-%u/socket", (unsigned)geteuid());
    ck_assert_int_eq(paths_user_socket(path, sizeof(path)), 0);
    ck_assert_str_eq(path, expected);
}

START_TEST(under_the_runtime_directory) {
    char path[100];
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    ck_assert_int_eq(paths_user_socket(path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/run/user/7/supd/socket");
}
END_TEST

START_TEST(else_in_tmp) {
    unsetenv("XDG_RUNTIME_DIR");
    expect_tmp();
    setenv("XDG_RUNTIME_DIR", "", 1);
    expect_tmp();
    setenv("XDG_RUNTIME_DIR", "run/user/7", 1); // a relative one is to be ignored
    expect_tmp();
}
END_TEST

START_TEST(one_byte_too_many_is_refused) {
    static const char whole[] = "/run/user/7/supd/socket";
    char path[sizeof(whole)];
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    ck_assert_int_eq(paths_user_socket(path, sizeof(path)), 0);
    ck_assert_str_eq(path, whole);
    ck_assert_int_eq(paths_user_socket(path, sizeof(path) - 1), -ENAMETOOLONG);
    ck_assert_int_eq(paths_user_socket(path, 1), -ENAMETOOLONG);
    unsetenv("XDG_RUNTIME_DIR");
    ck_assert_int_eq(paths_user_socket(path, 5), -ENAMETOOLONG);
}
END_TEST

START_TEST(the_system_socket_fits_an_address) {
    ck_assert_int_eq(PATHS_SYSTEM_SOCKET[0], '/');
    ck_assert_uint_lt(sizeof(PATHS_SYSTEM_SOCKET), 108);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("paths");
    TCase *all = suite_case(suite, "paths", NULL, NULL);
    tcase_add_test(all, under_the_runtime_directory);
    tcase_add_test(all, else_in_tmp);
    tcase_add_test(all, one_byte_too_many_is_refused);
    tcase_add_test(all, the_system_socket_fits_an_address);
    return suite_run(suite);
}
