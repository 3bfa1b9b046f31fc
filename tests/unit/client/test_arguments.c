// arguments: options by table.
#include <stdio.h>

#include "client/arguments.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static const struct argument first[] = {
    {"v,verbose", NULL, "says more", 1}, {"o,output", "FILE", "where to", 2}, {NULL}};
static const struct argument second[] = {{"x", NULL, "short only", 3}, {"only-long", "N", "long only", 4}, {NULL}};
static const struct argument *const tables[] = {first, NULL, second};
static struct arguments arguments;
static const char *value;
static char why[512];
static bool ends_early = true;

static void begin(int argc, char **argv) {
    ck_assert_int_eq(arguments_init(&arguments, argc, argv, tables, ARRAY_SIZE(tables), ends_early), 0);
}

static int next(void) {
    value = NULL;
    return arguments_next(&arguments, &value, why);
}

#define BEGIN(...)                                           \
    char *argv[] = {(char[]){"command"}, __VA_ARGS__, NULL}; \
    begin((int)ARRAY_SIZE(argv) - 1, argv)
#define W(word) \
    (char[]) {  \
        word    \
    }

START_TEST(long_and_short_of_several_tables) {
    BEGIN(W("-v"), W("--output"), W("a"), W("-ob"), W("-x"), W("--only-long=7"), W("rest"));
    ck_assert_int_eq(next(), 1);
    ck_assert_ptr_null(value);
    ck_assert_int_eq(next(), 2);
    ck_assert_str_eq(value, "a");
    ck_assert_int_eq(next(), 2);
    ck_assert_str_eq(value, "b");
    ck_assert_int_eq(next(), 3);
    ck_assert_int_eq(next(), 4);
    ck_assert_str_eq(value, "7");
    ck_assert_int_eq(next(), ARGUMENTS_END);
    ck_assert_str_eq(argv[optind], "rest");
    arguments_done(&arguments);
}
END_TEST

START_TEST(options_end_at_the_first_other_word) {
    BEGIN(W("-v"), W("echo"), W("-v"), W("--output"));
    ck_assert_int_eq(next(), 1);
    ck_assert_int_eq(next(), ARGUMENTS_END);
    ck_assert_str_eq(argv[optind], "echo");
    arguments_done(&arguments);
}
END_TEST

START_TEST(or_may_stand_anywhere) {
    ends_early = false;
    BEGIN(W("one"), W("-v"), W("two"), W("--output"), W("x"));
    ck_assert_int_eq(next(), 1);
    ck_assert_int_eq(next(), 2);
    ck_assert_int_eq(next(), ARGUMENTS_END);
    ck_assert_str_eq(argv[optind], "one");
    ck_assert_str_eq(argv[optind + 1], "two");
    arguments_done(&arguments);
}
END_TEST

START_TEST(two_dashes_end_them_too) {
    BEGIN(W("--"), W("-v"));
    ck_assert_int_eq(next(), ARGUMENTS_END);
    ck_assert_str_eq(argv[optind], "-v");
    arguments_done(&arguments);
}
END_TEST

START_TEST(what_is_wrong_is_named) {
    {
        BEGIN(W("--nonsense"));
        ck_assert_int_eq(next(), ARGUMENTS_WRONG);
        ck_assert_ptr_nonnull(strstr(why, "--nonsense"));
        arguments_done(&arguments);
    }
    {
        BEGIN(W("--output"));
        ck_assert_int_eq(next(), ARGUMENTS_WRONG);
        ck_assert_ptr_nonnull(strstr(why, "needs a value"));
        arguments_done(&arguments);
    }
    {
        BEGIN(W("--verbose=1"));
        ck_assert_int_eq(next(), ARGUMENTS_WRONG);
        ck_assert_ptr_nonnull(strstr(why, "takes no value"));
        arguments_done(&arguments);
    }
    {
        BEGIN(W("-q"));
        ck_assert_int_eq(next(), ARGUMENTS_WRONG);
        ck_assert_ptr_nonnull(strstr(why, "-q"));
        arguments_done(&arguments);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("arguments");
    TCase *group = suite_case(suite, "parsing", NULL, NULL);
    tcase_add_test(group, long_and_short_of_several_tables);
    tcase_add_test(group, options_end_at_the_first_other_word);
    tcase_add_test(group, or_may_stand_anywhere);
    tcase_add_test(group, two_dashes_end_them_too);
    tcase_add_test(group, what_is_wrong_is_named);
    return suite_run(suite);
}
