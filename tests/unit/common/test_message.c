// Tests of JSON-RPC messages: what lines are refused and how, what a request is, what answers look like.
#include "common/message.h"

#include <math.h>
#include <stdio.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static int parse_bytes(const char *line, size_t size) {
    _cleanup_free_ char *copy = malloc(size + !size); // of the exact size: nothing behind it may be read
    memcpy(copy, line, size);
    json_t *value = NULL;
    char why[200] = "";
    int code = message_parse(copy, size, &value, why);
    ck_assert((code == 0) == (value != NULL));
    if (code) {
        ck_assert_str_ne(why, "");
        json_t *text = json_string(why); // it goes into an answer
        ck_assert_msg(text != NULL, "%s", why);
        json_decref(text);
    }
    json_decref(value);
    return code;
}

static int parse(const char *line) {
    return parse_bytes(line, strlen(line));
}

static json_t *parsed(const char *line) {
    json_t *value = NULL;
    char why[200] = "";
    ck_assert_msg(message_parse(line, strlen(line), &value, why) == 0, "%s", why);
    return value;
}

START_TEST(any_json_is_parsed) {
    const char *const lines[] = {"{}",
                                 "[]",
                                 "null",
                                 "1",
                                 "-0",
                                 "1.5e3",
                                 "\"x\"",
                                 "true",
                                 " {\"a\" : [1, 2] }\t\r",
                                 "\"\\u0000\"",
                                 "\"\\ud83d\\ude00\"",
                                 "\"\xc3\xa4\"",
                                 "9223372036854775807"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        ck_assert_msg(parse(lines[i]) == 0, "%s", lines[i]);
}
END_TEST

START_TEST(what_is_not_json_is_a_parse_error) {
    const char *const lines[] = {"",
                                 " ",
                                 "{",
                                 "}",
                                 "[1,]",
                                 "{\"a\":}",
                                 "{a:1}",
                                 "'x'",
                                 "01",
                                 "+1",
                                 "1.",
                                 ".5",
                                 "NaN",
                                 "Infinity",
                                 "nul",
                                 "{} {}",
                                 "{}x",
                                 "\"\\x\"",
                                 "\"\\ud83d\"",
                                 "\"a\tb\"",
                                 "\xff",
                                 "\"\xff\"",
                                 "\"\xc3\"",
                                 "\"\xed\xa0\x80\"",
                                 "\xef\xbb\xbf{}",
                                 "[\xe2\x82\xac]",
                                 "//",
                                 "\"\\",
                                 "\"",
                                 "[\"\\\"]",
                                 "{\"x\":1e}"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        ck_assert_msg(parse(lines[i]) == PROTO_PARSE_ERROR, "%s", lines[i]);
    ck_assert_int_eq(parse_bytes("{}\0", 3), PROTO_PARSE_ERROR);
    ck_assert_int_eq(parse_bytes("\0", 1), PROTO_PARSE_ERROR);
    ck_assert_int_eq(parse_bytes("\"a\0b\"", 5), PROTO_PARSE_ERROR);
}
END_TEST

static int parse_deep(int depth, const char *opening, const char *middle, const char *closing) {
    char line[8192] = "";
    size_t n = 0;
    for (int i = 0; i < depth; i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", opening);
    n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", middle);
    for (int i = 0; i < depth; i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", closing);
    ck_assert_uint_lt(n, sizeof(line) - 1);
    return parse(line);
}

START_TEST(depth_is_bounded) {
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX, "[", "", "]"), 0);
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX + 1, "[", "", "]"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX, "{\"a\":", "1", "}"), 0);
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX + 1, "{\"a\":", "1", "}"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX / 2, "[{\"a\":", "1", "}]"), 0);
    ck_assert_int_eq(parse_deep(PROTO_DEPTH_MAX / 2, "[{\"a\":", "[]", "}]"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse_deep(1000, "[", "", ""), PROTO_INVALID_REQUEST);
    // Brackets in strings are none, beside one another they are not deep.
    ck_assert_int_eq(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"), 0);
    ck_assert_int_eq(parse("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\"]"),
                     0);
    char wide[1024] = "[";
    for (int i = 0; i < 100; i++)
        strcat(wide, "[],{},");
    ck_assert_int_eq(parse(strcat(wide, "[]]")), 0);
}
END_TEST

// The code for a line of so many members, each beginning like `member`, the last one being `last`.
static int parse_many(int count, const char *member, const char *last) {
    size_t n = 1;
    _cleanup_free_ char *line = malloc((size_t)count * (strlen(member) + 1) + strlen(last) + 3);
    line[0] = '[';
    for (int i = 1; i < count; i++)
        n += (size_t)sprintf(line + n, "%s,", member);
    n += (size_t)sprintf(line + n, "%s]", last);
    return parse_bytes(line, n);
}

START_TEST(values_are_bounded) {
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX - 1, "1", "1"), 0); // and the array
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX, "1", "1"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX / 2, "{}", "1"), 0);
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX / 2, "{}", "{}"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX / 3, "[1,2]", "1"), 0);
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX / 2, "[1,2]", "1"), PROTO_INVALID_REQUEST);
    // What stands in a string is no value; the largest argv, each item with its encoding, may be sent.
    ck_assert_int_eq(parse_many(PROTO_VALUES_MAX / 8, "\"[{\\\",,,,,,,,,,,,,,,\"", "1"), 0);
    ck_assert_int_eq(parse_many(100000, "{\"data\":\"eA==\",\"encoding\":\"base64\"}", "1"), 0);
}
END_TEST

START_TEST(a_name_given_twice_is_no_request) {
    ck_assert_int_eq(parse("{\"a\":1,\"a\":1}"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse("{\"a\":1,\"\\u0061\":2}"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse("[{\"x\":{\"b\":1,\"c\":2,\"b\":null}}]"), PROTO_INVALID_REQUEST);
    ck_assert_int_eq(parse("{\"a\":{\"a\":{\"a\":1}}}"), 0);
    ck_assert_int_eq(parse("{\"a\\u0000b\":1}"), PROTO_INVALID_REQUEST);
}
END_TEST

START_TEST(huge_numbers_stay_out_of_every_range) {
    static const char *const numbers[] = {"1e400", "-1e400", "1E+999", "9e99999", "-123.25e4000", "1e309"};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char line[100];
        snprintf(line, sizeof(line), "{\"a\":[%s],\"b\":\"1e400\",\"c\":%s}", numbers[i], numbers[i]);
        json_t *value = parsed(line);
        double a = json_number_value(json_array_get(json_object_get(value, "a"), 0));
        double c = json_number_value(json_object_get(value, "c"));
        ck_assert(fabs(a) > 1e300 && isfinite(a) && signbit(a) == (numbers[i][0] == '-') && a == c);
        ck_assert_str_eq(json_string_value(json_object_get(value, "b")), "1e400");
        json_decref(value);
    }
    char digits[600];
    memset(digits, '9', sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = 0;
    json_t *value = parsed(digits);
    ck_assert(json_number_value(value) > 1e300);
    json_decref(value);
}
END_TEST

START_TEST(integers_beyond_64_bits_are_reals) {
    json_t *value = parsed("[9223372036854775808, -9223372036854775809, 18446744073709551616, 7]");
    ck_assert(json_real_value(json_array_get(value, 0)) == 9223372036854775808.0);
    ck_assert(json_real_value(json_array_get(value, 1)) == -9223372036854775808.0);
    ck_assert(json_real_value(json_array_get(value, 2)) == 18446744073709551616.0);
    ck_assert(json_number_value(json_array_get(value, 3)) == 7);
    json_decref(value);
    value = parsed("[9223372036854775807, -9223372036854775808]");
    ck_assert_int_eq(json_integer_value(json_array_get(value, 0)), INT64_MAX);
    ck_assert_int_eq(json_integer_value(json_array_get(value, 1)), INT64_MIN);
    json_decref(value);
    value = parsed("[1e-400, -1e-400]"); // too small is zero
    ck_assert(json_real_value(json_array_get(value, 0)) == 0);
    json_decref(value);
}
END_TEST

START_TEST(huge_numbers_may_be_many) {
    ck_assert_int_eq(parse_many(100000, "1e400", "-1e400"), 0);
    ck_assert_int_eq(parse_many(1000, "[1e400,7 , -2E+999]", "{\"a\\\"\":-1e400}"), 0);
    ck_assert_int_eq(parse("[1e400,1e400,"), PROTO_PARSE_ERROR);
    ck_assert_int_eq(parse("{\"a\":1e400,\"a\":1}"), PROTO_INVALID_REQUEST);
}
END_TEST

START_TEST(a_huge_number_makes_nothing_else_json) {
    static const char *const wrong[] = {"01e400",      "1.e400",       "1e400.5",    "--1e400",   "1e4001e400",
                                        "1e400-1e400", "0-1e400",      "1.5-1E+400", "+1e400",    "1e400 1e400",
                                        "0x1p99999",   "-infinity",    "1e400e",     "-",         "1e",
                                        "1\"1e400\"",  "\"\\\" 1e400", "1e400\"",    "1-2-3-4-5", "[1e400"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char line[100];
        snprintf(line, sizeof(line), "[1e400,%s]", wrong[i]);
        ck_assert_msg(parse(line) != 0, "%s", line);
    }
}
END_TEST

// The request of a line; what it borrows lives until the next.
static struct request request_of(const char *line) {
    static json_t *value;
    json_decref(value);
    value = parsed(line);
    struct request request;
    message_request(value, &request);
    return request;
}

START_TEST(a_request_has_its_parts) {
    struct request r = request_of("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a.b\",\"params\":{\"x\":1}}");
    ck_assert_int_eq(r.error, 0);
    ck_assert_int_eq(json_integer_value(r.id), 7);
    ck_assert_str_eq(r.method, "a.b");
    ck_assert_uint_eq(json_object_size(r.params), 1);
    r = request_of("{\"jsonrpc\":\"2.0\",\"method\":\"a\"}");
    ck_assert_int_eq(r.error, 0);
    ck_assert_ptr_null(r.id);
    ck_assert_ptr_null(r.params);
    r = request_of("{\"jsonrpc\":\"2.0\",\"method\":\"a\\u0000b\",\"id\":1}"); // never taken for "a"
    ck_assert_int_eq(r.error, 0);
    ck_assert_str_ne(r.method, "a");
    r = request_of("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"extra\":[]}");
    ck_assert_int_eq(r.error, 0);
}
END_TEST

START_TEST(ids_are_strings_numbers_or_null) {
    const char *const good[] = {"\"\"", "\"x\"", "0", "-1", "1.5", "null", "9223372036854775807"};
    const char *const wrong[] = {"{}", "[]", "true", "false", "[1]"};
    char line[100];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":%s}", good[i]);
        struct request r = request_of(line);
        ck_assert(r.error == 0 && r.id != NULL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":%s}", wrong[i]);
        struct request r = request_of(line);
        ck_assert_int_eq(r.error, PROTO_INVALID_REQUEST);
        ck_assert_ptr_null(r.id);
        ck_assert(strstr(r.why, "id"));
    }
}
END_TEST

START_TEST(what_is_no_request_is_refused) {
    static const struct {
        const char *line;
        int error;
        const char *word; // of why
        bool id;
    } cases[] = {
        {"1", PROTO_INVALID_REQUEST, "object", false},
        {"\"x\"", PROTO_INVALID_REQUEST, "object", false},
        {"null", PROTO_INVALID_REQUEST, "object", false},
        {"[]", PROTO_INVALID_REQUEST, "object", false},
        {"{}", PROTO_INVALID_REQUEST, "jsonrpc", false},
        {"{\"method\":\"a\",\"id\":1}", PROTO_INVALID_REQUEST, "jsonrpc", true},
        {"{\"jsonrpc\":2.0,\"method\":\"a\",\"id\":1}", PROTO_INVALID_REQUEST, "jsonrpc", true},
        {"{\"jsonrpc\":\"1.0\",\"method\":\"a\",\"id\":1}", PROTO_INVALID_REQUEST, "jsonrpc", true},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", PROTO_INVALID_REQUEST, "method", true},
        {"{\"jsonrpc\":\"2.0\",\"method\":1,\"id\":1}", PROTO_INVALID_REQUEST, "method", true},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"params\":[]}", PROTO_INVALID_PARAMS, "name", true},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"params\":1}", PROTO_INVALID_REQUEST, "params", true},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"params\":null}", PROTO_INVALID_REQUEST, "params", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct request r = request_of(cases[i].line);
        ck_assert_msg(r.error == cases[i].error, "%s: %d", cases[i].line, r.error);
        ck_assert_msg(strstr(r.why, cases[i].word) != NULL, "%s: %s", cases[i].line, r.why);
        ck_assert((r.id != NULL) == cases[i].id);
        ck_assert_ptr_null(r.params);
    }
}
END_TEST

START_TEST(a_batch_is_known_by_its_beginning) {
    static const char *const batches[] = {"[]", " \t\r[1", "["}, *const others[] = {"",   " ",  "{}", " {\"a\":[]}",
                                                                                    "x[", "\v["};
    for (size_t i = 0; i < ARRAY_SIZE(batches); i++)
        ck_assert(message_is_batch(batches[i], strlen(batches[i])));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        ck_assert(!message_is_batch(others[i], strlen(others[i])));
    ck_assert(!message_is_batch("\0[", 2));
    ck_assert(!message_is_batch(" [", 1));
}
END_TEST

// Takes the value over: its one line must be the text.
static void expect_line(json_t *value, const char *text) {
    struct buffer buffer = {0};
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(message_append(&buffer, value), 0);
    ck_assert_int_eq(buffer_append(&buffer, "", 1), 0);
    ck_assert_str_eq(buffer_head(&buffer), text);
    buffer_done(&buffer);
    json_decref(value);
}

START_TEST(answers_are_json_rpc) {
    json_t *id = json_string("x");
    expect_line(message_result(id, json_object()), "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n");
    expect_line(message_result(NULL, json_null()), "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":null}\n");
    expect_line(message_error(id, PROTO_NOT_FOUND, "gone", json_pack("{s:i}", "id", 7)),
                "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":1,\"message\":\"gone\","
                "\"data\":{\"id\":7,\"name\":\"not_found\"}}}\n");
    expect_line(message_notification("job.output", json_pack("{s:b}", "eof", 1)),
                "{\"jsonrpc\":\"2.0\",\"method\":\"job.output\",\"params\":{\"eof\":true}}\n");
    ck_assert_uint_eq(id->refcount, 1); // borrowed
    json_decref(id);
    ck_assert_ptr_null(message_result(NULL, NULL)); // a result that was not to be had
}
END_TEST

START_TEST(an_error_always_has_code_message_and_name) {
    const char *const whats[] = {NULL, "", "x", "cut \xc3"}; // the last as a byte-wise cut leaves it
    const int codes[] = {PROTO_PARSE_ERROR, PROTO_UNSUPPORTED, 12345};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        for (size_t j = 0; j < ARRAY_SIZE(whats); j++) {
            json_t *message = message_error(NULL, codes[i], whats[j], NULL);
            const json_t *error = json_object_get(message, "error");
            ck_assert(json_is_null(json_object_get(message, "id")));
            ck_assert_int_eq(json_integer_value(json_object_get(error, "code")),
                             i == 2 ? PROTO_INTERNAL_ERROR : codes[i]);
            ck_assert_msg(json_is_string(json_object_get(error, "message")), "no message for what %zu", j);
            ck_assert_uint_gt(json_string_length(json_object_get(error, "message")), 0);
            ck_assert(json_is_string(json_object_get(json_object_get(error, "data"), "name")));
            json_decref(message);
        }
}
END_TEST

START_TEST(a_message_is_one_line_of_plain_numbers) {
    expect_line(json_pack("[s,f,f,I]", "a\nb", 0.1, 1790000000.123456, (json_int_t)INT64_MAX),
                "[\"a\\nb\",0.1,1790000000.123456,9223372036854775807]\n");
    expect_line(json_true(), "true\n");
    struct buffer buffer = {0};
    for (int i = 0; i < 3; i++) {
        json_t *value = json_integer(i);
        ck_assert_int_eq(message_append(&buffer, value), 0);
        json_decref(value);
    }
    ck_assert_uint_eq(buffer_size(&buffer), 6);
    ck_assert_mem_eq(buffer_head(&buffer), "0\n1\n2\n", 6);
    buffer_done(&buffer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("message");
    TCase *lines = suite_case(suite, "lines", NULL, NULL);
    tcase_add_test(lines, any_json_is_parsed);
    tcase_add_test(lines, what_is_not_json_is_a_parse_error);
    tcase_add_test(lines, depth_is_bounded);
    tcase_add_test(lines, values_are_bounded);
    tcase_add_test(lines, a_name_given_twice_is_no_request);
    tcase_add_test(lines, huge_numbers_stay_out_of_every_range);
    tcase_add_test(lines, integers_beyond_64_bits_are_reals);
    tcase_add_test(lines, huge_numbers_may_be_many);
    tcase_add_test(lines, a_huge_number_makes_nothing_else_json);
    TCase *requests = suite_case(suite, "requests", NULL, NULL);
    tcase_add_test(requests, a_request_has_its_parts);
    tcase_add_test(requests, ids_are_strings_numbers_or_null);
    tcase_add_test(requests, what_is_no_request_is_refused);
    TCase *answers = suite_case(suite, "answers", NULL, NULL);
    tcase_add_test(answers, a_batch_is_known_by_its_beginning);
    tcase_add_test(answers, answers_are_json_rpc);
    tcase_add_test(answers, an_error_always_has_code_message_and_name);
    tcase_add_test(answers, a_message_is_one_line_of_plain_numbers);
    return suite_run(suite);
}
