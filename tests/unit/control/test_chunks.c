// chunks: stored output in pieces, in reading order, cut between characters, with exact gaps.
#include "daemon/control/chunks.h"

#include <stdio.h>

#include "common/util.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/suite.h"

#define OUT (1u << STREAM_OUT)
#define BOTH (1u << STREAM_OUT | 1u << STREAM_ERR)
#define EURO "\xe2\x82\xac"

static struct sample sample;
static struct job *job;
static struct cursor cursor;

static void setup(void) {
    sample_open(&sample);
    job = sample_job(&sample, 1000, NULL, 16, 16);
    cursor = (struct cursor){.mask = BOTH};
}

static void teardown(void) {
    sample_close(&sample);
}

// Builds up to `limit` bytes, and compares: chunks as "o0:text" or "e5:text", gaps as "o[8,12)", and eof.
static void expect(size_t limit, const char *text) {
    char got[1024] = "";
    size_t i;
    json_t *piece, *answer = chunks_build(job, &cursor, limit);
    ck_assert_ptr_nonnull(answer);
    json_array_foreach(json_object_get(answer, "chunks"), i, piece) {
        size_t n = strlen(got);
        snprintf(got + n, sizeof(got) - n, "%c%d:%s%s ", json_string_value(json_object_get(piece, "stream"))[3],
                 (int)json_integer_value(json_object_get(piece, "offset")),
                 streq(json_string_value(json_object_get(piece, "encoding")), "base64") ? "=" : "",
                 json_string_value(json_object_get(piece, "data")));
    }
    json_array_foreach(json_object_get(answer, "gaps"), i, piece) {
        size_t n = strlen(got);
        snprintf(got + n, sizeof(got) - n, "%c[%d,%d) ", json_string_value(json_object_get(piece, "stream"))[3],
                 (int)json_integer_value(json_object_get(piece, "start")),
                 (int)json_integer_value(json_object_get(piece, "end")));
    }
    size_t n = strlen(got);
    snprintf(got + n, sizeof(got) - n, "%s", json_is_true(json_object_get(answer, "eof")) ? "eof" : "more");
    const json_t *next = json_object_get(answer, "next");
    ck_assert_int_eq(json_integer_value(json_object_get(next, "stdout")), cursor.next[STREAM_OUT]);
    ck_assert_int_eq(json_is_null(json_object_get(next, "stderr")), !(cursor.mask & 1u << STREAM_ERR));
    json_decref(answer);
    ck_assert_str_eq(got, text);
}

static void put(int stream, const char *text) {
    sample_write(job, stream, text, strlen(text));
}

START_TEST(pieces_come_in_the_order_in_which_they_were_read) {
    put(STREAM_OUT, "one");
    put(STREAM_ERR, "two");
    put(STREAM_OUT, "three");
    expect(100, "o0:one e0:two o3:three more");
    expect(100, "more");
    ck_assert(!chunks_waiting(job, &cursor));
    put(STREAM_ERR, "four");
    ck_assert(chunks_waiting(job, &cursor));
    sample_close_streams(job);
    ck_assert(!chunks_eof(job, &cursor));
    expect(100, "e3:four eof");
    ck_assert(chunks_eof(job, &cursor));
}
END_TEST

START_TEST(one_stream_alone) {
    put(STREAM_OUT, "one");
    put(STREAM_ERR, "two");
    cursor.mask = OUT;
    expect(100, "o0:one more");
    ck_assert(!chunks_waiting(job, &cursor));
    sample_close_streams(job);
    expect(100, "eof");
}
END_TEST

START_TEST(a_budget_is_kept_and_gone_on_from) {
    put(STREAM_OUT, "0123456789");
    expect(4, "o0:0123 more");
    expect(4, "o4:4567 more");
    expect(4, "o8:89 more");
    expect(0, "more");
}
END_TEST

START_TEST(a_budget_never_cuts_a_character) {
    put(STREAM_OUT, "a" EURO EURO "b");
    cursor.mask = OUT;
    expect(6, "o0:a" EURO " more");
    expect(6, "o4:" EURO "b more");
}
END_TEST

// A character of which a part was read with the one before: the order of the streams has an edge within it.
START_TEST(a_budget_that_ends_at_such_an_edge_does_not_either) {
    put(STREAM_OUT, "abc\xe2");
    put(STREAM_ERR, "x");
    sample_write(job, STREAM_OUT, "\x82\xac", 2);
    cursor.mask = OUT;
    expect(4, "o0:abc more");
    expect(4, "o3:" EURO " more");
}
END_TEST

// Its rest may still come; when it can't, the bytes go as they are.
START_TEST(a_character_cut_by_the_present_end_waits_for_its_rest) {
    cursor.mask = OUT;
    put(STREAM_OUT, "ab\xe2\x82");
    expect(100, "o0:ab more");
    sample_write(job, STREAM_OUT,
                 "\xac"
                 "c\xe2",
                 3);
    expect(100, "o2:" EURO " o5:c more");
    sample_close_streams(job);
    expect(100, "o6:=4g== eof");
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_not_held_back) {
    cursor.mask = OUT;
    sample_write(job, STREAM_OUT, "\xff\xfe\x80", 3);
    expect(100, "o0:=//6A more");
    sample_write(job, STREAM_OUT, "a\0", 2);
    expect(100, "o3:=YQA= more");
}
END_TEST

START_TEST(base64_can_be_forced) {
    cursor = (struct cursor){.mask = OUT, .base64 = true};
    put(STREAM_OUT, "abc");
    expect(100, "o0:=YWJj more");
}
END_TEST

START_TEST(a_gap_is_told_exactly_and_once) {
    cursor.mask = OUT;
    put(STREAM_OUT, "0123456789abcdefGHIJ0123456789abcdef"); // head 16, four overwritten, ring 16
    expect(100, "o0:0123456789abcdef o20:0123456789abcdef o[16,20) more");
    expect(100, "more");
    cursor.next[STREAM_OUT] = 18; // amid the gap
    cursor.hint = 0;
    expect(4, "o20:0123 o[18,20) more");
}
END_TEST

START_TEST(offsets_from_the_end) {
    put(STREAM_OUT, "0123456789");
    ck_assert_int_eq(cursor_offset(job, STREAM_OUT, 3), 3);
    ck_assert_int_eq(cursor_offset(job, STREAM_OUT, 30), 30);
    ck_assert_int_eq(cursor_offset(job, STREAM_OUT, -3), 7);
    ck_assert_int_eq(cursor_offset(job, STREAM_OUT, -30), 0);
    ck_assert_int_eq(cursor_offset(job, STREAM_ERR, -1), 0);
    ck_assert_int_eq(cursor_offset(job, STREAM_OUT, INT64_MIN + 1), 0);
}
END_TEST

// Of any text with any budget that holds a character, the pieces together are the text.
START_TEST(pieces_of_any_size_are_the_whole) {
    static const char text[] = "a" EURO "\xc3\xa4"
                               "b" EURO "\xf0\x9f\x98\x80"
                               "c"; // 15 bytes
    put(STREAM_OUT, text);
    sample_close_streams(job);
    cursor.mask = OUT;
    char whole[64] = "";
    for (int rounds = 0; !chunks_eof(job, &cursor); rounds++) {
        ck_assert_int_lt(rounds, 20);
        json_t *answer = chunks_build(job, &cursor, (size_t)_i), *piece;
        size_t i;
        json_array_foreach(json_object_get(answer, "chunks"), i, piece) {
            ck_assert_str_eq(json_string_value(json_object_get(piece, "encoding")), "utf-8");
            strcat(whole, json_string_value(json_object_get(piece, "data")));
        }
        json_decref(answer);
    }
    ck_assert_str_eq(whole, text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/chunks");
    TCase *group = suite_case(suite, "chunks", setup, teardown);
    tcase_add_test(group, pieces_come_in_the_order_in_which_they_were_read);
    tcase_add_test(group, one_stream_alone);
    tcase_add_test(group, a_budget_is_kept_and_gone_on_from);
    tcase_add_test(group, a_budget_never_cuts_a_character);
    tcase_add_test(group, a_budget_that_ends_at_such_an_edge_does_not_either);
    tcase_add_test(group, a_character_cut_by_the_present_end_waits_for_its_rest);
    tcase_add_test(group, bytes_that_are_no_utf8_are_not_held_back);
    tcase_add_test(group, base64_can_be_forced);
    tcase_add_test(group, a_gap_is_told_exactly_and_once);
    tcase_add_test(group, offsets_from_the_end);
    tcase_add_loop_test(group, pieces_of_any_size_are_the_whole, 4, 20);
    return suite_run(suite);
}
