// Tests of the checks of values: every kind, and refusals that name the field.
#include "common/schema.h"

#include <stdio.h>

#include "common/proto_record.h"
#include "common/proto_types.h"
#include "common/util.h"
#include "tests/unit/suite.h"

struct refusal {
    const char *params;
    const char *field;
    const char *why; // a part of it
};

static json_t *value_of(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ck_assert_msg(value != NULL, "%s", text);
    return value;
}

static int check_params(const char *method, const char *params, struct schema_error *error) {
    json_t *value = value_of(params);
    int r = schema_check_params(proto_method_find(method), value, error);
    json_decref(value);
    return r;
}

static void accepted(const char *method, const char *params) {
    struct schema_error error = {0};
    int r = check_params(method, params, &error);
    ck_assert_msg(r == 0, "%s %s: %s %s", method, params, error.field, error.why);
}

static void refused(const char *method, int code, const struct refusal *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct schema_error error = {0};
        int r = check_params(method, cases[i].params, &error);
        ck_assert_msg(r == -EINVAL, "%s %s: accepted", method, cases[i].params);
        ck_assert_msg(error.code == code, "%s %s: code %d", method, cases[i].params, error.code);
        ck_assert_msg(streq(error.field, cases[i].field), "%s %s: field %s", method, cases[i].params, error.field);
        ck_assert_msg(strstr(error.why, cases[i].why), "%s %s: %s", method, cases[i].params, error.why);
    }
}
#define REFUSED(method, ...)                                                     \
    refused(method, PROTO_INVALID_PARAMS, (const struct refusal[]){__VA_ARGS__}, \
            ARRAY_SIZE(((const struct refusal[]){__VA_ARGS__})))
#define UNSUPPORTED(method, ...)                                              \
    refused(method, PROTO_UNSUPPORTED, (const struct refusal[]){__VA_ARGS__}, \
            ARRAY_SIZE(((const struct refusal[]){__VA_ARGS__})))

static bool fits(const struct proto_type *type, const char *text) {
    struct schema_error error = {0};
    json_t *value = value_of(text);
    int r = schema_check_result(type, value, &error);
    ck_assert(r == 0 || (r == -EINVAL && error.why[0]));
    json_decref(value);
    return r == 0;
}

START_TEST(whole_specs_are_accepted) {
    accepted("job.run", "{\"argv\":[\"true\"]}");
    accepted("job.run",
             "{\"argv\":[\"a\",{\"data\":\"/w==\",\"encoding\":\"base64\"}],\"name\":\"x.y@z-1_\",\"timeout\":0.5,"
             "\"env\":{\"A\":\"b\",\"C\":null},\"cwd\":\"/tmp\",\"stdin\":{\"data\":\"in\"},\"stdout\":\"null\","
             "\"stderr\":{\"file\":\"/x\",\"append\":true},\"grace\":0,\"nice\":-20,\"umask\":\"0777\","
             "\"output\":{\"head_bytes\":0,\"on_limit\":\"kill\"},\"inline_bytes\":4096.0}");
    accepted("job.run", "{\"argv\":[\"true\"],\"name\":null,\"pty\":null,\"output\":{\"head_bytes\":null}}");
    accepted("job.list", "{}");
    accepted("daemon.info", "{}");
    accepted("job.output", "{\"id\":1,\"offset\":-5}");
    accepted("job.output", "{\"id\":1,\"offset\":{\"stdout\":3}}");
}
END_TEST

START_TEST(numbers_have_bounds) {
    REFUSED("job.run", {"{\"argv\":[\"a\"],\"timeout\":\"5\"}", "timeout", "must be a number"},
            {"{\"argv\":[\"a\"],\"timeout\":0}", "timeout", "above 0"},
            {"{\"argv\":[\"a\"],\"timeout\":-1}", "timeout", "above 0"},
            {"{\"argv\":[\"a\"],\"timeout\":1e10}", "timeout", "1000000000"},
            {"{\"argv\":[\"a\"],\"grace\":-0.1}", "grace", "from 0"},
            {"{\"argv\":[\"a\"],\"nice\":20}", "nice", "from -20 to 19"},
            {"{\"argv\":[\"a\"],\"nice\":-21}", "nice", "from -20 to 19"},
            {"{\"argv\":[\"a\"],\"nice\":1.5}", "nice", "must be an integer"},
            {"{\"argv\":[\"a\"],\"nice\":true}", "nice", "must be an integer"},
            {"{\"argv\":[\"a\"],\"inline_bytes\":4194305}", "inline_bytes", "4194304"},
            {"{\"argv\":[\"a\"],\"output\":{\"limit_bytes\":9223372036854775808.0}}", "output.limit_bytes",
             "9223372036854775807"},
            {"{\"argv\":[\"a\"],\"output\":{\"limit_bytes\":1e308}}", "output.limit_bytes", "9223372036854775807"});
    REFUSED("job.status", {"{\"id\":0}", "id", "from 1"}, {"{\"id\":9007199254740992}", "id", "from 1"},
            {"{\"id\":9007199254740993}", "id", "from 1"}, {"{\"id\":\"1\"}", "id", "must be an integer"});
    accepted("job.status", "{\"id\":9007199254740991}");
    accepted("job.run", "{\"argv\":[\"a\"],\"output\":{\"limit_bytes\":9223372036854775807}}");
    accepted("job.run", "{\"argv\":[\"a\"],\"timeout\":1e9,\"grace\":1e9,\"nice\":19}");
}
END_TEST

START_TEST(strings_have_lengths_and_no_nul) {
    REFUSED("job.run", {"{\"argv\":[\"a\"],\"name\":\"\"}", "name", "1 to 64"},
            {"{\"argv\":[\"a\"],\"name\":1}", "name", "a string"},
            {"{\"argv\":[\"a\"],\"name\":\"1a\"}", "name", "begin"},
            {"{\"argv\":[\"a\"],\"name\":\"a b\"}", "name", "may hold"},
            {"{\"argv\":[\"a\"],\"name\":\"a\\u0000\"}", "name", "NUL"},
            {"{\"argv\":[\"a\"],\"name\":\"\xc3\xa4\"}", "name", "begin"},
            {"{\"argv\":[\"a\\u0000b\"]}", "argv[0]", "NUL"}, {"{\"argv\":[\"a\"],\"umask\":\"8\"}", "umask", "octal"},
            {"{\"argv\":[\"a\"],\"umask\":\"1000\"}", "umask", "777"},
            {"{\"argv\":[\"a\"],\"umask\":18}", "umask", "a string"},
            {"{\"argv\":[\"a\"],\"stop_signal\":\"TERM\"}", "stop_signal", "no signal"},
            {"{\"argv\":[\"a\"],\"cwd\":\"tmp\"}", "cwd", "absolute"},
            {"{\"argv\":[\"a\"],\"cwd\":\"\"}", "cwd", "absolute"},
            {"{\"argv\":[\"a\"],\"key\":\"\"}", "key", "1 to 256"});
}
END_TEST

START_TEST(enums_name_their_words) {
    REFUSED("job.run", {"{\"argv\":[\"a\"],\"descendants\":\"KILL\"}", "descendants", "\"kill\", \"wait\", \"keep\""},
            {"{\"argv\":[\"a\"],\"descendants\":1}", "descendants", "a string"},
            {"{\"argv\":[\"a\"],\"descendants\":\"kill\\u0000\"}", "descendants", "must be one of"},
            {"{\"argv\":[\"a\"],\"stdout\":\"stdout\"}", "stdout", "\"capture\", \"null\""},
            {"{\"argv\":[\"a\"],\"stdin\":\"capture\"}", "stdin", "\"null\""},
            {"{\"argv\":[\"a\"],\"stdin\":5}", "stdin", "wrong type"});
    REFUSED("job.list", {"{\"states\":[\"final\",\"done\"]}", "states[1]", "must be one of"});
}
END_TEST

START_TEST(arrays_have_sizes) {
    REFUSED("job.run", {"{\"argv\":[]}", "argv", "must not be empty"}, {"{\"argv\":\"true\"}", "argv", "an array"},
            {"{\"argv\":{}}", "argv", "an array"}, {"{\"argv\":[\"a\",1]}", "argv[1]", "wrong type"},
            {"{\"argv\":[\"a\",null]}", "argv[1]", "wrong type"},
            {"{\"argv\":[\"a\",\"b\",[\"c\"]]}", "argv[2]", "wrong type"});
    REFUSED("job.wait", {"{\"ids\":[]}", "ids", "must not be empty"}, {"{\"ids\":[1,0]}", "ids[1]", "from 1"});
    REFUSED("job.list",
            {"{\"states\":[\"final\",\"final\",\"final\",\"final\",\"final\",\"final\"]}", "states", "at most 5"});
}
END_TEST

START_TEST(maps_check_names_and_values) {
    REFUSED("job.run", {"{\"argv\":[\"a\"],\"env\":[]}", "env", "an object"},
            {"{\"argv\":[\"a\"],\"env\":{\"PATH\":1}}", "env.PATH", "wrong type"},
            {"{\"argv\":[\"a\"],\"env\":{\"A=B\":\"x\"}}", "env", "="},
            {"{\"argv\":[\"a\"],\"env\":{\"\":\"x\"}}", "env", "empty"},
            {"{\"argv\":[\"a\"],\"env\":{\"A\":\"x\\u0000\"}}", "env.A", "NUL"},
            {"{\"argv\":[\"a\"],\"labels\":{\"k\":null}}", "labels.k", "a string"},
            {"{\"argv\":[\"a\"],\"labels\":{\"k\":5}}", "labels.k", "a string"});
}
END_TEST

START_TEST(names_of_labels_have_a_length) {
    static const char *const methods[] = {"job.start", "job.run", "job.update", "job.list"};
    static const char *const first[] = {"\"argv\":[\"a\"],", "\"argv\":[\"a\"],", "\"id\":1,", ""};
    char params[400];
    snprintf(params, sizeof(params), "{%s\"labels\":{\"%0*d\":\"v\"}}", first[_i], 256, 0);
    accepted(methods[_i], params);
    snprintf(params, sizeof(params), "{%s\"labels\":{\"%0*d\":\"v\"}}", first[_i], 257, 0);
    REFUSED(methods[_i], {params, "labels", "256 bytes"});
}
END_TEST

START_TEST(objects_know_their_fields) {
    REFUSED("job.run", {"[]", "", "an object"}, {"null", "", "an object"}, {"{}", "argv", "is required"},
            {"{\"argv\":null}", "argv", "is required"}, {"{\"argv\":[\"a\"],\"tiemout\":1}", "tiemout", "is not known"},
            {"{\"argv\":[\"a\"],\"output\":{\"head\":1}}", "output.head", "is not known"},
            {"{\"argv\":[\"a\"],\"output\":7}", "output", "an object"},
            {"{\"argv\":[\"a\"],\"stdout\":{}}", "stdout.file", "is required"},
            {"{\"argv\":[\"a\"],\"stdout\":{\"file\":\"/x\",\"append\":1}}", "stdout.append", "true or false"},
            {"{\"argv\":[\"a\",{}]}", "argv[1].data", "is required"},
            {"{\"argv\":[\"a\",{\"data\":\"Y\",\"encoding\":\"base64\"}]}", "argv[1]", "base64"},
            {"{\"argv\":[\"a\",{\"data\":\"AA==\",\"encoding\":\"base64\"}]}", "argv[1]", "NUL"},
            {"{\"argv\":[\"a\",{\"data\":\"a\",\"encoding\":\"hex\"}]}", "argv[1].encoding", "must be one of"});
    REFUSED("daemon.info", {"{\"x\":null}", "x", "is not known"});
    REFUSED("job.wait", {"{\"id\":1,\"until\":{}}", "until.text", "is required"});
}
END_TEST

START_TEST(what_is_for_later_is_unsupported) {
    UNSUPPORTED("job.run", {"{\"argv\":[\"a\"],\"restart\":{}}", "restart", "not supported"});
    REFUSED("job.run", {"{\"argv\":[\"a\"],\"limits\":{\"memory_bytes\":0}}", "limits.memory_bytes", "from 1"},
            {"{\"argv\":[\"a\"],\"pty\":{\"rows\":0}}", "pty.rows", "from 1"});
}
END_TEST

START_TEST(targets_are_exactly_one) {
    accepted("job.status", "{\"id\":1,\"name\":null}");
    accepted("job.kill", "{\"ids\":[1,2]}");
    accepted("job.forget", "{\"final\":true}");
    accepted("job.forget", "{\"id\":1,\"final\":false}");
    REFUSED("job.status", {"{}", "id", "exactly one of id, name"}, {"{\"id\":1,\"name\":\"a\"}", "id", "exactly one"},
            {"{\"ids\":[1]}", "ids", "is not known"});
    REFUSED("job.kill", {"{}", "id", "id, name, ids"}, {"{\"id\":1,\"ids\":[2]}", "id", "exactly one"},
            {"{\"final\":true}", "final", "is not known"});
    REFUSED("job.forget", {"{\"final\":false}", "id", "exactly one"},
            {"{\"id\":1,\"final\":true}", "id", "exactly one"});
}
END_TEST

START_TEST(results_are_checked_too) {
    ck_assert(fits(&proto_empty, "{}"));
    ck_assert(!fits(&proto_empty, "{\"x\":1}"));
    ck_assert(fits(&proto_next, "{\"stdout\":1,\"stderr\":null}"));
    ck_assert(!fits(&proto_next, "{\"stdout\":1}")); // null is not absence
    ck_assert(fits(&proto_chunks,
                   "[{\"stream\":\"stdout\",\"offset\":0,\"data\":\"x\",\"encoding\":\"utf-8\",\"at\":null}]"));
    ck_assert(!fits(&proto_chunks,
                    "[{\"stream\":\"stdout\",\"offset\":null,\"data\":\"x\",\"encoding\":\"utf-8\",\"at\":1}]"));
    ck_assert(fits(&proto_range, "[1,2]"));
    ck_assert(!fits(&proto_range, "[1]"));
    ck_assert(!fits(&proto_range, "[1,2,3]"));
    ck_assert(fits(&proto_any, "[null,{}]"));
    ck_assert(fits(&(const struct proto_type){PK_NULL}, "null"));
    ck_assert(!fits(&(const struct proto_type){PK_NULL}, "0"));
    ck_assert(fits(&proto_bool, "false"));
    ck_assert(!fits(&proto_bool, "null"));
    ck_assert(fits(&proto_integer, "-9223372036854775807"));
}
END_TEST

// Such names come from no parser; the checks do not rely on it.
START_TEST(names_with_nul_are_refused) {
    struct schema_error error = {0};
    json_t *value = value_of("{\"argv\":[\"a\"],\"env\":{}}");
    json_object_setn_new(json_object_get(value, "env"), "A\0B", 3, json_string("x"));
    ck_assert_int_eq(schema_check_params(proto_method_find("job.run"), value, &error), -EINVAL);
    ck_assert_str_eq(error.field, "env.A");
    json_object_clear(json_object_get(value, "env"));
    json_object_setn_new(value, "name\0", 5, json_string("x"));
    ck_assert_int_eq(schema_check_params(proto_method_find("job.run"), value, &error), -EINVAL);
    ck_assert_str_eq(error.field, "name");
    json_decref(value);
}
END_TEST

// A name of any length comes back as text: cut where it must be, never within a character.
START_TEST(long_names_are_cut_and_stay_text) {
    for (int length = 1; length < 200; length++) {
        char params[1200] = "{\"argv\":[\"a\"],\"env\":{\"", pad[200];
        memset(pad, 'p', sizeof(pad));
        snprintf(params + strlen(params), sizeof(params) - strlen(params), "%.*s", length % 4, pad);
        for (int i = 0; i < length; i++)
            strcat(params, "\xf0\x9f\x98\x80");
        strcat(params, "\":1}}");
        struct schema_error error = {0};
        ck_assert_int_eq(check_params("job.run", params, &error), -EINVAL);
        ck_assert_uint_lt(strlen(error.field), sizeof(error.field));
        json_t *text = json_string(error.field);
        ck_assert_msg(text != NULL, "the field of a name of %d characters is no UTF-8", length);
        json_decref(text);
    }
}
END_TEST

START_TEST(nulls_are_dropped_but_from_maps) {
    json_t *params =
        value_of("{\"argv\":[\"a\"],\"name\":null,\"env\":{\"A\":null,\"B\":\"b\"},\"output\":{\"head_bytes\":null,"
                 "\"tail_bytes\":1},\"stdout\":{\"file\":\"/x\",\"append\":null}}");
    json_t *expected = value_of("{\"argv\":[\"a\"],\"env\":{\"A\":null,\"B\":\"b\"},\"output\":{\"tail_bytes\":1},"
                                "\"stdout\":{\"file\":\"/x\"}}");
    schema_drop_nulls(proto_method_find("job.run"), params);
    ck_assert(json_equal(params, expected));
    json_decref(params);
    json_decref(expected);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schema");
    TCase *params = suite_case(suite, "params", NULL, NULL);
    tcase_add_test(params, whole_specs_are_accepted);
    tcase_add_test(params, numbers_have_bounds);
    tcase_add_test(params, strings_have_lengths_and_no_nul);
    tcase_add_test(params, enums_name_their_words);
    tcase_add_test(params, arrays_have_sizes);
    tcase_add_test(params, maps_check_names_and_values);
    tcase_add_loop_test(params, names_of_labels_have_a_length, 0, 4);
    tcase_add_test(params, objects_know_their_fields);
    tcase_add_test(params, what_is_for_later_is_unsupported);
    tcase_add_test(params, targets_are_exactly_one);
    tcase_add_test(params, names_with_nul_are_refused);
    tcase_add_test(params, long_names_are_cut_and_stay_text);
    tcase_add_test(params, nulls_are_dropped_but_from_maps);
    TCase *results = suite_case(suite, "results", NULL, NULL);
    tcase_add_test(results, results_are_checked_too);
    return suite_run(suite);
}
