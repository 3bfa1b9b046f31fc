// Tests of bytes as JSON: base64, UTF-8 where it can be, pieces that cut no character.
#include "common/bytes.h"

#include "common/util.h"
#include "tests/unit/suite.h"

static bool base64(const char *text) {
    return bytes_base64_valid(text, strlen(text));
}

START_TEST(base64_is_canonical_and_padded) {
    ck_assert(base64(""));
    ck_assert(base64("YQ=="));
    ck_assert(base64("YWI="));
    ck_assert(base64("YWJj"));
    ck_assert(base64("+/+/"));
    ck_assert(!base64("Y"));
    ck_assert(!base64("YQ"));
    ck_assert(!base64("YQ="));
    ck_assert(!base64("YQ==="));
    ck_assert(!base64("YWI"));
    ck_assert(!base64("YWJjZ"));
    ck_assert(!base64("="));
    ck_assert(!base64("===="));
    ck_assert(!base64("YQ==YQ=="));
    ck_assert(!base64("YR==")); // bits left over
    ck_assert(!base64("YWJ="));
    ck_assert(!base64("-_-_")); // the alphabet for URLs is another
    ck_assert(!base64("YWJ\xff"));
    ck_assert(!bytes_base64_valid("YWJj\0", 5));
}
END_TEST

START_TEST(base64_has_no_line_breaks_or_blanks) {
    ck_assert(!base64("YWJj\n"));
    ck_assert(!base64("YWJj\r\nYWJj"));
    ck_assert(!base64(" YWJj"));
    ck_assert(!base64("YW Jj"));
    ck_assert(!base64("YWJj\t"));
}
END_TEST

static void expect_bytes(const char *json, const char *bytes, size_t size) {
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ck_assert_ptr_nonnull(value);
    size_t got = 99;
    _cleanup_free_ char *data = bytes_from_json(value, &got);
    json_decref(value);
    ck_assert_msg(data != NULL, "%s", json);
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(data, bytes, size);
    ck_assert_int_eq(data[size], 0);
}

START_TEST(bytes_come_from_strings_and_objects) {
    expect_bytes("\"abc\"", "abc", 3);
    expect_bytes("\"\"", "", 0);
    expect_bytes("\"a\\u0000b\"", "a\0b", 3);
    expect_bytes("{\"data\":\"abc\"}", "abc", 3);
    expect_bytes("{\"data\":\"YQ==\",\"encoding\":\"utf-8\"}", "YQ==", 4);
    expect_bytes("{\"data\":\"YQ==\",\"encoding\":\"base64\"}", "a", 1);
    expect_bytes("{\"data\":\"\",\"encoding\":\"base64\"}", "", 0);
    expect_bytes("{\"data\":\"AP8A\",\"encoding\":\"base64\"}", "\0\xff\0", 3);
}
END_TEST

START_TEST(wrong_base64_gives_nothing) {
    json_t *value = json_pack("{s:s,s:s}", "data", "Y", "encoding", "base64");
    size_t size = 99;
    ck_assert_ptr_null(bytes_from_json(value, &size));
    ck_assert_uint_eq(size, 99);
    json_decref(value);
}
END_TEST

// Writes the bytes to JSON and reads them back; says in which encoding they went.
static const char *round_trip(const char *data, size_t size, bool force) {
    json_t *object = json_object();
    ck_assert_int_eq(bytes_to_json(object, data, size, force), 0);
    const char *encoding = json_string_value(json_object_get(object, "encoding"));
    bool utf8 = encoding && streq(encoding, "utf-8");
    ck_assert(utf8 || (encoding && streq(encoding, "base64")));
    size_t got = 0;
    _cleanup_free_ char *back = bytes_from_json(object, &got);
    ck_assert_ptr_nonnull(back);
    ck_assert_uint_eq(got, size);
    if (size)
        ck_assert_mem_eq(back, data, size);
    json_decref(object);
    return utf8 ? "utf-8" : "base64";
}

START_TEST(utf8_where_it_can_be_else_base64) {
    ck_assert_str_eq(round_trip("abc", 3, false), "utf-8");
    ck_assert_str_eq(round_trip(NULL, 0, false), "utf-8");
    ck_assert_str_eq(round_trip("", 0, true), "base64");
    ck_assert_str_eq(round_trip("abc", 3, true), "base64");
    ck_assert_str_eq(round_trip("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, false), "utf-8");
    ck_assert_str_eq(round_trip("\x1b\x01\x7f\n", 4, false), "utf-8");
    ck_assert_str_eq(round_trip("a\0b", 3, false), "base64");
    ck_assert_str_eq(round_trip("\xff", 1, false), "base64");
    ck_assert_str_eq(round_trip("a\xc3", 2, false), "base64");            // cut short
    ck_assert_str_eq(round_trip("\xc0\x80", 2, false), "base64");         // overlong
    ck_assert_str_eq(round_trip("\xed\xa0\x80", 3, false), "base64");     // a surrogate
    ck_assert_str_eq(round_trip("\xf4\x90\x80\x80", 4, false), "base64"); // beyond U+10FFFF
}
END_TEST

START_TEST(every_byte_survives) {
    char data[256 * 3];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    for (size_t size = 0; size <= sizeof(data); size++)
        round_trip(data, size, size % 2);
}
END_TEST

static const char mixed[] = "a\xc3\xa4z\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
                            "b";

static bool begins_character(const char *text, size_t at) {
    return ((unsigned char)text[at] & 0xc0) != 0x80; // the end, a NUL, begins one too
}

START_TEST(a_piece_ends_between_characters) {
    for (size_t from = 0; from < sizeof(mixed) - 1; from++) {
        if (!begins_character(mixed, from))
            continue;
        for (size_t size = 1; from + size < sizeof(mixed); size++) {
            size_t cut = bytes_cut(mixed + from, size);
            ck_assert_uint_le(cut, size);
            ck_assert(cut > 0 || size < 4); // 0: no more than the start of a character
            if (begins_character(mixed, from + size))
                ck_assert_uint_eq(cut, size);
            else if (size > 3) // a character is whole in there
                ck_assert(begins_character(mixed, from + cut) && size - cut <= 3);
        }
    }
    ck_assert_uint_eq(bytes_cut(mixed, 0), 0);
}
END_TEST

START_TEST(what_is_not_utf8_goes_whole) {
    ck_assert_uint_eq(bytes_cut("\x80\x80\x80\x80\x80", 5), 5);
    ck_assert_uint_eq(bytes_cut("abc\xff", 4), 4);
    ck_assert_uint_eq(bytes_cut("abc\xc0", 4), 4);
    ck_assert_uint_eq(bytes_cut("abc\xf5", 4), 4);
    ck_assert_uint_eq(bytes_cut("a\xc3\xa4\xa4", 4), 4);
    ck_assert_uint_eq(bytes_cut("\xc3", 1), 0); // the start of a character, nothing else
}
END_TEST

START_TEST(pieces_make_the_whole) {
    char text[sizeof(mixed) * 20];
    size_t size = 0;
    for (int i = 0; i < 20; i++, size += sizeof(mixed) - 1)
        memcpy(text + size, mixed, sizeof(mixed) - 1);
    for (size_t piece = 4; piece < 40; piece++)
        for (size_t at = 0, cut; at < size; at += cut) {
            cut = bytes_cut(text + at, MIN(piece, size - at));
            ck_assert_uint_gt(cut, 0);
            ck_assert_str_eq(round_trip(text + at, cut, false), "utf-8");
        }
}
END_TEST

START_TEST(the_rest_of_a_character_is_skipped) {
    ck_assert_uint_eq(bytes_skip_continuation("", 0), 0);
    ck_assert_uint_eq(bytes_skip_continuation("abc", 3), 0);
    ck_assert_uint_eq(bytes_skip_continuation("\xa4z", 2), 1);
    ck_assert_uint_eq(bytes_skip_continuation("\x82\xacz", 3), 2);
    ck_assert_uint_eq(bytes_skip_continuation("\x9f\x98\x80\xf0", 4), 3);
    ck_assert_uint_eq(bytes_skip_continuation("\x80\x80\x80\x80\x80", 5), 3);
    ck_assert_uint_eq(bytes_skip_continuation("\x80\x80", 1), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bytes");
    TCase *json = suite_case(suite, "json", NULL, NULL);
    tcase_add_test(json, base64_is_canonical_and_padded);
    tcase_add_test(json, base64_has_no_line_breaks_or_blanks);
    tcase_add_test(json, bytes_come_from_strings_and_objects);
    tcase_add_test(json, wrong_base64_gives_nothing);
    tcase_add_test(json, utf8_where_it_can_be_else_base64);
    tcase_add_test(json, every_byte_survives);
    TCase *pieces = suite_case(suite, "pieces", NULL, NULL);
    tcase_add_test(pieces, a_piece_ends_between_characters);
    tcase_add_test(pieces, what_is_not_utf8_goes_whole);
    tcase_add_test(pieces, pieces_make_the_whole);
    tcase_add_test(pieces, the_rest_of_a_character_is_skipped);
    return suite_run(suite);
}
