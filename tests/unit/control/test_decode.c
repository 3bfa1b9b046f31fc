// decode: every field of the spec, and by which path a refusal names what is wrong.
#include "daemon/control/decode.h"

#include <signal.h>
#include <stdio.h>

#include "common/schema.h"
#include "common/util.h"
#include "tests/unit/suite.h"

// As dispatch does it: checked, nulls dropped, decoded. Returns 0, or the code of the refusal.
static int decode(const char *text, struct spec *ret_spec, struct refusal *refusal) {
    json_error_t where;
    json_t *params = json_loads(text, JSON_ALLOW_NUL, &where);
    ck_assert_msg(params != NULL, "%s: %s", text, where.text);
    const struct proto_method *method = proto_method_find("job.start");
    struct schema_error error = {0};
    *refusal = (struct refusal){0};
    int r = schema_check_params(method, params, &error) < 0 ? error.code : 0;
    memcpy(refusal->field, error.field, sizeof(error.field));
    memcpy(refusal->why, error.why, sizeof(error.why));
    if (r == 0) {
        schema_drop_nulls(method, params);
        r = decode_spec(params, false, refusal, ret_spec);
        ck_assert(r == 0 || r == -EINVAL);
        if (r < 0) {
            r = PROTO_INVALID_PARAMS;
            spec_done(ret_spec);
        }
    }
    json_decref(params);
    return r;
}

static struct spec accept(const char *text) {
    struct spec spec;
    struct refusal refusal;
    int r = decode(text, &spec, &refusal);
    ck_assert_msg(r == 0, "%s: %d %s: %s", text, r, refusal.field, refusal.why);
    return spec;
}

START_TEST(what_is_absent_is_the_default) {
    static const char *const texts[] = {
        "{\"argv\": [\"a\"]}",
        "{\"argv\": [\"a\"], \"name\": null, \"timeout\": null, \"env\": null, \"stdin\": null, \"stdout\": null, "
        "\"output\": null, \"umask\": null, \"nice\": null, \"grace\": null, \"pty\": null, \"labels\": null}",
        "{\"argv\": [\"a\"], \"output\": {\"head_bytes\": null, \"limit_bytes\": null, \"on_limit\": null}, "
        "\"stdin\": \"null\", \"stdout\": \"capture\", \"stderr\": \"capture\", \"env\": {}, \"labels\": {}}"};
    struct spec spec = accept(texts[_i]), plain;
    spec_init(&plain);
    ck_assert_uint_eq(spec.argc, 1);
    ck_assert_str_eq(spec.argv[0], "a");
    ck_assert_ptr_null(spec.argv[1]);
    ck_assert(!spec.name && !spec.key && !spec.canonical && !spec.cwd && !spec.env_count && !spec.label_count);
    ck_assert(spec.stdin_from == STDIN_NULL && !spec.has_nice && !spec.lease && !spec.kill_on_limit);
    ck_assert_int_eq(spec.streams[STREAM_OUT].sink, SINK_CAPTURE);
    ck_assert_int_eq(spec.streams[STREAM_ERR].sink, SINK_CAPTURE);
    ck_assert_double_eq(spec.timeout + spec.idle_timeout + spec.cpu_timeout, 0);
    ck_assert_double_eq(spec.grace, 5);
    ck_assert_double_eq(spec.retain, 604800);
    ck_assert_int_eq(spec.stop_signal, SIGTERM);
    ck_assert_int_eq(spec.descendants, DESCENDANTS_KILL);
    ck_assert_int_eq(spec.head_bytes, 524288);
    ck_assert_int_eq(spec.tail_bytes, 524288);
    ck_assert_int_eq(spec.limit_bytes, -1);
    ck_assert_int_eq(spec.umask, 022);
    spec_done(&spec);
}
END_TEST

START_TEST(every_field_arrives) {
    struct spec spec = accept(
        "{\"argv\": [\"make\", \"\", \"-k\"], \"name\": \"n\", \"key\": \"k\", \"labels\": {\"a\": \"1\", \"b\": "
        "\"\"}, "
        "\"cwd\": \"/src\", \"env\": {\"A\": \"x\", \"B\": null}, \"stdin\": {\"data\": \"in\"}, \"stdout\": \"null\", "
        "\"stderr\": {\"file\": \"err\", \"append\": true}, \"timeout\": 1.5, \"cpu_timeout\": 3, \"stop_signal\": "
        "\"SIGINT\", \"grace\": 0, \"descendants\": \"keep\", \"output\": {\"head_bytes\": 1, \"tail_bytes\": 0, "
        "\"limit_bytes\": 9223372036854775807, \"on_limit\": \"kill\"}, \"umask\": \"077\", \"nice\": -3, "
        "\"lease\": true, \"retain\": 0}");
    ck_assert_uint_eq(spec.argc, 3);
    ck_assert_str_eq(spec.argv[1], "");
    ck_assert_str_eq(spec.argv[2], "-k");
    ck_assert_str_eq(spec.name, "n");
    ck_assert_str_eq(spec.key, "k");
    ck_assert_uint_eq(spec.label_count, 2);
    ck_assert_pstr_eq(spec_label(&spec, "a"), "1");
    ck_assert_pstr_eq(spec_label(&spec, "b"), "");
    ck_assert_str_eq(spec.cwd, "/src");
    ck_assert_uint_eq(spec.env_count, 2);
    ck_assert_str_eq(spec.env[0].name, "A");
    ck_assert_pstr_eq(spec.env[0].value, "x");
    ck_assert_str_eq(spec.env[1].name, "B");
    ck_assert_pstr_eq(spec.env[1].value, NULL);
    ck_assert_int_eq(spec.stdin_from, STDIN_DATA);
    ck_assert_uint_eq(spec.stdin_size, 2);
    ck_assert_int_eq(spec.streams[STREAM_OUT].sink, SINK_NULL);
    ck_assert_int_eq(spec.streams[STREAM_ERR].sink, SINK_FILE);
    ck_assert_str_eq(spec.streams[STREAM_ERR].path, "err");
    ck_assert(spec.streams[STREAM_ERR].append);
    ck_assert_double_eq(spec.timeout, 1.5);
    ck_assert_double_eq(spec.cpu_timeout, 3);
    ck_assert_int_eq(spec.stop_signal, SIGINT);
    ck_assert_double_eq(spec.grace, 0);
    ck_assert_int_eq(spec.descendants, DESCENDANTS_KEEP);
    ck_assert_int_eq(spec.head_bytes, 1);
    ck_assert_int_eq(spec.tail_bytes, 0);
    ck_assert_int_eq(spec.limit_bytes, INT64_MAX);
    ck_assert(spec.kill_on_limit);
    ck_assert_int_eq(spec.umask, 077);
    ck_assert(spec.has_nice && spec.nice == -3);
    ck_assert(spec.lease);
    ck_assert_double_eq(spec.retain, 0);
    spec_done(&spec);
    spec = accept("{\"argv\": [\"a\"], \"idle_timeout\": 2, \"stderr\": \"stdout\", \"descendants\": \"wait\", "
                  "\"stdout\": {\"file\": \"/f\"}, \"nice\": 4.0, \"stderr\": \"capture\"}");
    ck_assert_double_eq(spec.idle_timeout, 2);
    ck_assert_int_eq(spec.descendants, DESCENDANTS_WAIT);
    ck_assert(spec.streams[STREAM_OUT].sink == SINK_FILE && !spec.streams[STREAM_OUT].append);
    ck_assert_int_eq(spec.nice, 4);
    spec_done(&spec);
}
END_TEST

START_TEST(bytes_arrive_as_they_are) {
    struct spec spec =
        accept("{\"argv\": [{\"data\": \"/+8=\", \"encoding\": \"base64\"}], \"cwd\": {\"data\": "
               "\"L/8=\", \"encoding\": \"base64\"}, \"stdin\": {\"data\": \"a\\u0000b\"}, \"env\": {\"A\": "
               "{\"data\": \"/w==\", \"encoding\": \"base64\"}}, \"stderr\": \"stdout\"}");
    ck_assert_str_eq(spec.argv[0], "\xff\xef");
    ck_assert_str_eq(spec.cwd, "/\xff");
    ck_assert_uint_eq(spec.stdin_size, 3);
    ck_assert_int_eq(memcmp(spec.stdin_data, "a\0b", 3), 0);
    ck_assert_pstr_eq(spec.env[0].value, "\xff");
    ck_assert_int_eq(spec.streams[STREAM_ERR].sink, SINK_STDOUT);
    spec_done(&spec);
}
END_TEST

#define A "{\"argv\": [\"a\"], "
static const struct {
    const char *text, *field;
    int code;
} refusals[] = {
    {"{}", "argv", PROTO_INVALID_PARAMS},
    {"{\"argv\": null}", "argv", PROTO_INVALID_PARAMS},
    {"{\"argv\": []}", "argv", PROTO_INVALID_PARAMS},
    {"{\"argv\": [\"a\", 1]}", "argv[1]", PROTO_INVALID_PARAMS},
    {"{\"argv\": [\"a\\u0000\"]}", "argv[0]", PROTO_INVALID_PARAMS},
    {A "\"nmae\": 1}", "nmae", PROTO_INVALID_PARAMS},
    {A "\"name\": \"1a\"}", "name", PROTO_INVALID_PARAMS},
    {A "\"key\": \"\"}", "key", PROTO_INVALID_PARAMS},
    {A "\"labels\": {\"x\": 1}}", "labels.x", PROTO_INVALID_PARAMS},
    {A "\"cwd\": \"src\"}", "cwd", PROTO_INVALID_PARAMS},
    {A "\"env\": {\"PATH\": 1}}", "env.PATH", PROTO_INVALID_PARAMS},
    {A "\"env\": {\"A=B\": \"\"}}", "env", PROTO_INVALID_PARAMS},
    {A "\"stdin\": \"nothing\"}", "stdin", PROTO_INVALID_PARAMS},
    {A "\"stdin\": {}}", "stdin.data", PROTO_INVALID_PARAMS},
    {A "\"stdout\": {\"file\": \"f\", \"apend\": true}}", "stdout.apend", PROTO_INVALID_PARAMS},
    {A "\"stdout\": \"stdout\"}", "stdout", PROTO_INVALID_PARAMS},
    {A "\"stderr\": {\"append\": true}}", "stderr.file", PROTO_INVALID_PARAMS},
    {A "\"timeout\": 0}", "timeout", PROTO_INVALID_PARAMS},
    {A "\"timeout\": 1e10}", "timeout", PROTO_INVALID_PARAMS},
    {A "\"idle_timeout\": -1}", "idle_timeout", PROTO_INVALID_PARAMS},
    {A "\"idle_timeout\": 1, \"stdout\": \"null\", \"stderr\": \"null\"}", "idle_timeout", PROTO_INVALID_PARAMS},
    {A "\"idle_timeout\": 1, \"stdout\": \"null\", \"stderr\": \"stdout\"}", "idle_timeout", PROTO_INVALID_PARAMS},
    {A "\"cpu_timeout\": \"1\"}", "cpu_timeout", PROTO_INVALID_PARAMS},
    {A "\"stop_signal\": \"TERM\"}", "stop_signal", PROTO_INVALID_PARAMS},
    {A "\"grace\": -0.5}", "grace", PROTO_INVALID_PARAMS},
    {A "\"descendants\": \"leave\"}", "descendants", PROTO_INVALID_PARAMS},
    {A "\"output\": {\"head_bytes\": -1}}", "output.head_bytes", PROTO_INVALID_PARAMS},
    {A "\"output\": {\"tail_bytes\": 0.5}}", "output.tail_bytes", PROTO_INVALID_PARAMS},
    {A "\"output\": {\"on_limit\": 1}}", "output.on_limit", PROTO_INVALID_PARAMS},
    {A "\"umask\": \"888\"}", "umask", PROTO_INVALID_PARAMS},
    {A "\"nice\": 20}", "nice", PROTO_INVALID_PARAMS},
    {A "\"lease\": 1}", "lease", PROTO_INVALID_PARAMS},
    {A "\"retain\": -1}", "retain", PROTO_INVALID_PARAMS},
    {A "\"limits\": {\"memory_bytes\": \"1\"}}", "limits.memory_bytes", PROTO_INVALID_PARAMS},
    {A "\"limits\": {\"open_files\": 0}}", "limits.open_files", PROTO_INVALID_PARAMS},
    {A "\"pty\": {\"rows\": 0}}", "pty.rows", PROTO_INVALID_PARAMS},
    {A "\"pty\": {}, \"stdin\": {\"data\": \"x\"}}", "stdin", PROTO_INVALID_PARAMS},
    {A "\"pty\": {}, \"stdout\": \"null\"}", "stdout", PROTO_INVALID_PARAMS},
    {A "\"pty\": {}, \"stderr\": \"null\"}", "stderr", PROTO_INVALID_PARAMS},
    {A "\"user\": \"\"}", "user", PROTO_INVALID_PARAMS},
    {A "\"queue_timeout\": 1}", "queue_timeout", PROTO_UNSUPPORTED},
    {A "\"restart\": {}}", "restart", PROTO_UNSUPPORTED},
    {A "\"ready\": {}}", "ready", PROTO_UNSUPPORTED},
    {A "\"group\": \"g\"}", "group", PROTO_UNSUPPORTED},
    {A "\"priority\": 1}", "priority", PROTO_UNSUPPORTED},
    {A "\"after\": [1]}", "after", PROTO_UNSUPPORTED},
    {A "\"delay\": 1}", "delay", PROTO_UNSUPPORTED},
};

START_TEST(limits_that_are_not_given_are_none) {
    struct spec spec;
    struct refusal refusal;
    ck_assert_int_eq(decode("{\"argv\": [\"a\"]}", &spec, &refusal), 0);
    ck_assert_ptr_null(spec.limits);
    spec_done(&spec);
    ck_assert_int_eq(decode("{\"argv\": [\"a\"], \"limits\": {\"core_bytes\": 0, \"open_files\": 9}}", &spec, &refusal),
                     0);
    for (int i = 0; i < LIMIT_COUNT; i++)
        ck_assert_int_eq(spec.limits[i], i == LIMIT_CORE ? 0 : i == LIMIT_OPEN_FILES ? 9 : -1);
    spec_done(&spec);
}
END_TEST

START_TEST(a_refusal_names_its_field) {
    struct spec spec;
    struct refusal refusal;
    int r = decode(refusals[_i].text, &spec, &refusal);
    ck_assert_msg(r == refusals[_i].code, "%s: %d", refusals[_i].text, r);
    ck_assert_str_eq(refusal.field, refusals[_i].field);
    ck_assert_str_ne(refusal.why, "");
}
END_TEST

START_TEST(every_field_of_the_table_is_tried) {
    for (const struct proto_field *f = proto_spec_fields; f->name; f++) {
        bool tried = false;
        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
            tried |= strncmp(refusals[i].field, f->name, strlen(f->name)) == 0;
        ck_assert_msg(tried, "no refusal of %s is tried", f->name);
    }
}
END_TEST

static const struct {
    const char *one, *other;
    bool same;
} pairs[] = {
    {"\"timeout\": 5", "\"timeout\": 5.0", true},
    {"\"grace\": 5", "\"umask\": \"022\"", true}, // both are the default
    {"\"env\": {\"A\": \"1\", \"B\": \"2\"}", "\"env\": {\"B\": \"2\", \"A\": \"1\"}", true},
    {"\"lease\": true", "\"lease\": false", true}, // the connection's
    {"\"name\": null", "\"retain\": 604800.0", true},
    {"\"timeout\": 5", "\"timeout\": 5.5", false},
    {"\"cwd\": \"/\"", "\"cwd\": \"/a\"", false},
    {"\"env\": {\"A\": null}", "\"env\": {}", false},
};

START_TEST(a_key_compares_what_was_meant) {
    char text[256];
    snprintf(text, sizeof(text), A "\"key\": \"k\", %s}", pairs[_i].one);
    struct spec one = accept(text);
    snprintf(text, sizeof(text), "{%s, \"key\": \"k\", \"argv\": [\"a\"]}", pairs[_i].other);
    struct spec other = accept(text);
    ck_assert_msg(streq(one.canonical, other.canonical) == pairs[_i].same, "%s and %s", one.canonical, other.canonical);
    spec_done(&one);
    spec_done(&other);
}
END_TEST

START_TEST(the_lease_is_the_methods_unless_given) {
    struct spec spec;
    struct refusal refusal = {0};
    json_t *params = json_pack("{s:[s]}", "argv", "a");
    ck_assert_int_eq(decode_spec(params, true, &refusal, &spec), 0);
    ck_assert(spec.lease);
    spec_done(&spec);
    json_object_set_new(params, "lease", json_false());
    ck_assert_int_eq(decode_spec(params, true, &refusal, &spec), 0);
    ck_assert(!spec.lease);
    spec_done(&spec);
    json_decref(params);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/decode");
    TCase *group = suite_case(suite, "decode", NULL, NULL);
    tcase_add_loop_test(group, what_is_absent_is_the_default, 0, 3);
    tcase_add_test(group, every_field_arrives);
    tcase_add_test(group, bytes_arrive_as_they_are);
    tcase_add_test(group, limits_that_are_not_given_are_none);
    tcase_add_loop_test(group, a_refusal_names_its_field, 0, ARRAY_SIZE(refusals));
    tcase_add_test(group, every_field_of_the_table_is_tried);
    tcase_add_loop_test(group, a_key_compares_what_was_meant, 0, ARRAY_SIZE(pairs));
    tcase_add_test(group, the_lease_is_the_methods_unless_given);
    return suite_run(suite);
}
