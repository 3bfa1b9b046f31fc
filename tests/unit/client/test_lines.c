// lines: whole lines of two streams, the last few, and their times.
#include <stdio.h>

#include "client/lines.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static struct lines lines;
static char seen[4096];

static void emit(void *data, int stream, const char *bytes, size_t size) {
    size_t at = strlen(seen);
    snprintf(seen + at, sizeof(seen) - at, "%d[%.*s]", stream, (int)size, bytes);
}

static void gap(void *data, int stream, int64_t start, int64_t end) {
    size_t at = strlen(seen);
    snprintf(seen + at, sizeof(seen) - at, "%d(%d-%d)", stream, (int)start, (int)end);
}

static void setup(void) {
    seen[0] = 0;
    lines = (struct lines){.keep = -1, .emit = emit, .gap = gap};
}

static void teardown(void) {
    lines_done(&lines);
}

static void take(int stream, const char *text) {
    lines_take(&lines, stream, 0, text, strlen(text));
}

START_TEST(pieces_become_lines) {
    take(0, "he");
    take(0, "llo\nwor");
    take(1, "err\n");
    ck_assert_str_eq(seen, "0[hello\n]1[err\n]");
    take(0, "ld\n\n");
    ck_assert_str_eq(seen, "0[hello\n]1[err\n]0[world\n]0[\n]");
    take(1, "unended");
    lines_release(&lines, true);
    ck_assert_str_eq(seen, "0[hello\n]1[err\n]0[world\n]0[\n]1[unended]");
}
END_TEST

START_TEST(last_lines_of_both_streams_in_order) {
    lines.keep = 3;
    for (int i = 0; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%d\n", i);
        take(i % 2, text);
    }
    ck_assert_str_eq(seen, "");
    lines_release(&lines, true);
    ck_assert_str_eq(seen, "1[7\n]0[8\n]1[9\n]");
}
END_TEST

START_TEST(gaps_within_the_last_lines_are_told) {
    take(0, "a\n");
    lines_gap(&lines, 0, 2, 5);
    ck_assert_str_eq(seen, "0[a\n]0(2-5)");
    lines.keep = 2;
    lines_gap(&lines, 0, 7, 9); // goes with b
    take(0, "b\nc");
    lines_gap(&lines, 0, 10, 20); // within a line
    lines_gap(&lines, 1, 0, 4);   // of the other stream
    take(0, "d\n");
    take(1, "e\n");
    lines_gap(&lines, 1, 6, 8); // at the end
    lines_release(&lines, true);
    ck_assert_str_eq(seen, "0[a\n]0(2-5)0(10-20)1(0-4)0[cd\n]1[e\n]1(6-8)");
}
END_TEST

START_TEST(gaps_before_the_last_lines_are_not_told) {
    lines.keep = 1;
    lines_gap(&lines, 1, 0, 4);
    take(1, "a\n");
    lines_gap(&lines, 0, 0, 9);
    take(1, "b\n");
    take(0, "c\nd\n");
    lines_release(&lines, true);
    ck_assert_str_eq(seen, "0[d\n]");
}
END_TEST

START_TEST(an_unended_line_counts_at_the_end_only) {
    lines.keep = 2;
    take(0, "a\nb\nc");
    lines_release(&lines, false);
    ck_assert_str_eq(seen, "0[a\n]0[b\n]0[c]");
    take(0, "d\n");
    ck_assert_str_eq(seen, "0[a\n]0[b\n]0[c]0[d\n]");
    seen[0] = 0;
    lines.keep = 2;
    take(0, "a\nb\nc");
    lines_release(&lines, true);
    ck_assert_str_eq(seen, "0[b\n]0[c]");
}
END_TEST

START_TEST(an_unended_line_with_a_time_waits_for_its_end) {
    lines.timestamps = true;
    lines.keep = 2;
    take(0, "a");
    lines_release(&lines, false);
    ck_assert_str_eq(seen, "");
    take(0, "b\n");
    ck_assert_str_eq(seen, "0[-                       ab\n]");
}
END_TEST

START_TEST(none_kept_is_none) {
    lines.keep = 0;
    take(0, "a\nb\n");
    lines_release(&lines, false);
    ck_assert_str_eq(seen, "");
    take(0, "c\n");
    ck_assert_str_eq(seen, "0[c\n]");
}
END_TEST

START_TEST(each_line_has_the_time_of_its_first_byte) {
    setenv("TZ", "UTC0", 1);
    lines.timestamps = true;
    lines_take(&lines, 0, 1.25, "a", 1);
    lines_take(&lines, 0, 7, "b\nc\n", 4);
    take(0, "d\n");
    ck_assert_str_eq(seen,
                     "0[1970-01-01 00:00:01.250 ab\n]0[1970-01-01 00:00:07.000 c\n]0[-                       d\n]");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lines");
    TCase *group = suite_case(suite, "lines", setup, teardown);
    tcase_add_test(group, pieces_become_lines);
    tcase_add_test(group, last_lines_of_both_streams_in_order);
    tcase_add_test(group, gaps_within_the_last_lines_are_told);
    tcase_add_test(group, gaps_before_the_last_lines_are_not_told);
    tcase_add_test(group, an_unended_line_counts_at_the_end_only);
    tcase_add_test(group, an_unended_line_with_a_time_waits_for_its_end);
    tcase_add_test(group, none_kept_is_none);
    tcase_add_test(group, each_line_has_the_time_of_its_first_byte);
    return suite_run(suite);
}
