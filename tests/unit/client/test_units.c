// units: durations, sizes, instants and signals as text and back.
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/units.h"
#include "common/util.h"
#include "tests/unit/suite.h"

START_TEST(durations_take_a_unit) {
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"30", 30},  {"30s", 30},   {"200ms", 0.2}, {"1.5h", 5400},
                 {"2m", 120}, {"1d", 86400}, {"0", 0},       {".5", 0.5}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        double seconds = -1;
        ck_assert_int_eq(units_parse_duration(cases[i].text, &seconds), 0);
        ck_assert_double_eq_tol(seconds, cases[i].seconds, 1e-9);
    }
}
END_TEST

START_TEST(durations_refuse_what_is_none) {
    static const char *const bad[] = {"", "soon", "-1", "1x", "1 s", "s", "1.2.3", "inf", "nan", "0x10", "1e3", "+1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        double seconds = 42;
        ck_assert_msg(units_parse_duration(bad[i], &seconds) == -EINVAL, "%s", bad[i]);
        ck_assert_double_eq(seconds, 42);
    }
}
END_TEST

START_TEST(sizes_take_powers_of_1024) {
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"4096", 4096},        {"1K", 1024},      {"512k", 524288},
                 {"1.5G", 1610612736},  {"2MiB", 2097152}, {"3KB", 3072},
                 {"1T", 1099511627776}, {"0", 0},          {"7B", 7}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t bytes = -1;
        ck_assert_msg(units_parse_size(cases[i].text, &bytes) == 0, "%s", cases[i].text);
        ck_assert_int_eq(bytes, cases[i].bytes);
    }
}
END_TEST

START_TEST(sizes_refuse_what_is_none) {
    static const char *const bad[] = {"", "5Q", "-1", "1.5", "K", "99999999999T", "1KK", "1 K"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int64_t bytes = 42;
        ck_assert_msg(units_parse_size(bad[i], &bytes) == -EINVAL, "%s", bad[i]);
        ck_assert_int_eq(bytes, 42);
    }
}
END_TEST

START_TEST(instants_are_dates_epochs_or_ago) {
    setenv("TZ", "UTC0", 1);
    tzset();
    static const struct {
        const char *text;
        double instant;
    } cases[] = {{"@1000.5", 1000.5},
                 {"10m", 4400},
                 {"1970-01-02", 86400},
                 {"1970-01-01 01:00", 3600},
                 {"1970-01-01T00:00:59", 59}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        double instant = -1;
        ck_assert_msg(units_parse_instant(cases[i].text, 5000, &instant) == 0, "%s", cases[i].text);
        ck_assert_double_eq_tol(instant, cases[i].instant, 1e-9);
    }
    double instant = 42;
    ck_assert_int_eq(units_parse_instant("yesterday", 5000, &instant), -EINVAL);
    ck_assert_int_eq(units_parse_instant("1970-01-01 25", 5000, &instant), -EINVAL);
    ck_assert_int_eq(units_parse_instant("@x", 5000, &instant), -EINVAL);
    ck_assert_double_eq(instant, 42);
}
END_TEST

START_TEST(signals_by_name_and_number) {
    ck_assert_str_eq(units_parse_signal("TERM"), "SIGTERM");
    ck_assert_str_eq(units_parse_signal("SIGHUP"), "SIGHUP");
    ck_assert_str_eq(units_parse_signal("9"), "SIGKILL");
    ck_assert_ptr_null(units_parse_signal("0"));
    ck_assert_ptr_null(units_parse_signal("-9"));
    ck_assert_ptr_null(units_parse_signal("NONE"));
    ck_assert_ptr_null(units_parse_signal(""));
    ck_assert_ptr_null(units_parse_signal("9x"));
    ck_assert_ptr_null(units_parse_signal("4294967305"));
}
END_TEST

START_TEST(short_forms) {
    char text[32];
    ck_assert_str_eq(units_duration(0.0123, text), "12ms");
    ck_assert_str_eq(units_duration(1.254, text), "1.25s");
    ck_assert_str_eq(units_duration(185, text), "3m05s");
    ck_assert_str_eq(units_duration(7800, text), "2h10m");
    ck_assert_str_eq(units_duration(90000, text), "1d01h");
    ck_assert_str_eq(units_duration(-1, text), "0ms");
    ck_assert_str_eq(units_size(1023, text), "1023");
    ck_assert_str_eq(units_size(1536, text), "1.5K");
    ck_assert_str_eq(units_size(INT64_MAX, text), "8.0E");
    setenv("TZ", "UTC0", 1);
    tzset();
    ck_assert_str_eq(units_instant(86399.9, text), "1970-01-01 23:59:59");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("units");
    TCase *group = suite_case(suite, "text", NULL, NULL);
    tcase_add_test(group, durations_take_a_unit);
    tcase_add_test(group, durations_refuse_what_is_none);
    tcase_add_test(group, sizes_take_powers_of_1024);
    tcase_add_test(group, sizes_refuse_what_is_none);
    tcase_add_test(group, instants_are_dates_epochs_or_ago);
    tcase_add_test(group, signals_by_name_and_number);
    tcase_add_test(group, short_forms);
    return suite_run(suite);
}
