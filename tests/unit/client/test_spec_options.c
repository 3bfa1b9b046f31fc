// spec_options: words of the command line as fields of a spec.
#include <stdio.h>

#include "client/spec_options.h"
#include "common/proto.h"
#include "common/schema.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static json_t *spec;
static char why[512];

static void setup(void) {
    spec = json_object();
}

static void teardown(void) {
    json_decref(spec);
}

static int id_of(const char *name) {
    for (const struct argument *a = spec_options(); a->names; a++)
        if (streq(a->names + (a->names[1] == ',' ? 2 : 0), name))
            return a->id;
    ck_abort_msg("no option --%s", name);
}

static int set(const char *name, const char *value) {
    return spec_options_set(spec, id_of(name), value, why);
}

static void is(const char *expected) {
    char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(10));
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(each_kind_of_value) {
    ck_assert_int_eq(set("timeout", "1500ms"), 0);
    ck_assert_int_eq(set("nice", "-5"), 0);
    ck_assert_int_eq(set("name", "web"), 0);
    ck_assert_int_eq(set("stop-signal", "INT"), 0);
    ck_assert_int_eq(set("stderr", "stdout"), 0);
    ck_assert_int_eq(set("stdout", "+/tmp/x"), 0);
    ck_assert_int_eq(set("cwd", "capture"), 0);
    is("{\"cwd\":\"capture\",\"name\":\"web\",\"nice\":-5,\"stderr\":\"stdout\","
       "\"stdout\":{\"append\":true,\"file\":\"/tmp/x\"},\"stop_signal\":\"SIGINT\",\"timeout\":1.5}");
}
END_TEST

START_TEST(pairs_add_up) {
    ck_assert_int_eq(set("label", "a=1"), 0);
    ck_assert_int_eq(set("label", "b="), 0);
    ck_assert_int_eq(set("env", "X=y=z"), 0);
    is("{\"env\":{\"X\":\"y=z\"},\"labels\":{\"a\":\"1\",\"b\":\"\"}}");
    ck_assert_int_eq(set("label", "x"), -1);
    ck_assert_int_eq(set("label", "=x"), -1);
    ck_assert_int_eq(set("env", "\xff=secret"), -1);
    ck_assert_str_eq(why, "--env: \xff: is not UTF-8");
    ck_assert_int_eq(set("env", "=secret"), -1);
    ck_assert_str_eq(why, "--env: must be KEY=VALUE");
}
END_TEST

START_TEST(fields_of_objects_in_the_spec) {
    ck_assert_int_eq(set("head-bytes", "1M"), 0);
    ck_assert_int_eq(set("output-limit", "2G"), 0);
    ck_assert_int_eq(set("on-limit", "kill"), 0);
    is("{\"output\":{\"head_bytes\":1048576,\"limit_bytes\":2147483648,\"on_limit\":\"kill\"}}");
}
END_TEST

START_TEST(what_is_wrong_names_the_option) {
    static const struct {
        const char *name, *value;
    } bad[] = {{"timeout", "soon"}, {"head-bytes", "5Q"}, {"nice", "x"}, {"stop-signal", "NONE"}, {"stdout", "+"}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char option[64];
        snprintf(option, sizeof(option), "--%s", bad[i].name);
        ck_assert_int_eq(set(bad[i].name, bad[i].value), -1);
        ck_assert_msg(strstr(why, option) == why, "%s", why);
    }
    is("{}");
}
END_TEST

START_TEST(bytes_that_are_no_text_are_base64) {
    ck_assert_int_eq(set("cwd", "/\xff"), 0);
    is("{\"cwd\":{\"data\":\"L/8=\",\"encoding\":\"base64\"}}");
}
END_TEST

START_TEST(what_options_make_is_what_the_table_takes) {
    static const struct {
        const char *metavar, *value;
    } samples[] = {{"DURATION", "2s"},
                   {"SIZE", "1K"},
                   {"KEY=VALUE", "a=b"},
                   {"NAME", "n"},
                   {"KEY", "k"},
                   {"DIR", "/"},
                   {"SIGNAL", "HUP"},
                   {"USER", "nobody"},
                   {"OCTAL", "077"},
                   {"N", "1"},
                   {"kill|wait|keep", "wait"},
                   {"truncate|kill", "kill"},
                   {"null|stream", "stream"},
                   {"capture|null|[+]PATH", "null"},
                   {"capture|null|stdout|[+]PATH", "stdout"}};
    for (const struct argument *a = spec_options(); a->names; a++) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
            if (a->metavar && streq(a->metavar, samples[i].metavar)) {
                ck_assert_msg(spec_options_set(spec, a->id, samples[i].value, why) == 0, "%s", why);
                known = true;
            }
        ck_assert_msg(known, "--%s: no sample for %s", a->names, a->metavar ? a->metavar : "a flag");
    }
    struct schema_error error = {0};
    json_object_set_new(spec, "argv", json_pack("[s]", "true"));
    ck_assert_msg(schema_check_params(proto_method_find("job.start"), spec, &error) == 0, "%s: %s", error.field,
                  error.why);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("spec_options");
    TCase *group = suite_case(suite, "options", setup, teardown);
    tcase_add_test(group, each_kind_of_value);
    tcase_add_test(group, pairs_add_up);
    tcase_add_test(group, fields_of_objects_in_the_spec);
    tcase_add_test(group, what_is_wrong_names_the_option);
    tcase_add_test(group, bytes_that_are_no_text_are_base64);
    tcase_add_test(group, what_options_make_is_what_the_table_takes);
    return suite_run(suite);
}
