// spec: defaults, what is forgotten after the launch, and what it owns.
#include "daemon/core/spec.h"

#include <signal.h>

#include "common/proto.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static struct spec spec;

static struct spec_pair *pair(const char *name, const char *value) {
    struct spec_pair *pairs = calloc(1, sizeof(*pairs));
    pairs[0] = (struct spec_pair){strdup(name), value ? strdup(value) : NULL};
    return pairs;
}

// Everything that a spec can own.
static void setup(void) {
    spec_init(&spec);
    spec.argv = calloc(3, sizeof(*spec.argv));
    spec.argv[0] = (char *)(uintptr_t) "a";
    spec.argv[1] = (char *)(uintptr_t) "b";
    spec.argc = 2;
    spec.name = strdup("name");
    spec.key = strdup("key");
    spec.canonical = strdup("{}");
    spec.cwd = strdup("/");
    spec.labels = pair("team", "red");
    spec.label_count = 1;
    spec.env = pair("TOKEN", "secret");
    spec.env_count = 1;
    spec.stdin_from = STDIN_DATA;
    spec.stdin_data = strdup("secret");
    spec.stdin_size = 6;
    for (int i = 0; i < STREAM_COUNT; i++) {
        spec.streams[i].sink = SINK_FILE;
        spec.streams[i].path = strdup("/dev/null");
    }
}

static void teardown(void) {
    spec_done(&spec);
}

START_TEST(defaults_are_the_protocols) {
    struct spec fresh;
    memset(&fresh, 0xff, sizeof(fresh));
    spec_init(&fresh);
    ck_assert_int_eq(fresh.stop_signal, SIGTERM);
    ck_assert_double_eq(fresh.grace, 5);
    ck_assert_int_eq(fresh.head_bytes, 524288);
    ck_assert_int_eq(fresh.tail_bytes, 524288);
    ck_assert_int_eq(fresh.limit_bytes, -1);
    ck_assert_int_eq(fresh.umask, 022);
    ck_assert_double_eq(fresh.retain, 604800);
    ck_assert_double_eq(fresh.timeout + fresh.idle_timeout + fresh.cpu_timeout, 0);
    ck_assert_int_eq(fresh.descendants, DESCENDANTS_KILL);
    ck_assert(spec_captures(&fresh, STREAM_OUT) && spec_captures(&fresh, STREAM_ERR));
    ck_assert(!fresh.has_nice && !fresh.lease && !fresh.kill_on_limit && fresh.stdin_from == STDIN_NULL);
    ck_assert(!fresh.argv && !fresh.name && !fresh.key && !fresh.cwd && !fresh.env && !fresh.labels);
}
END_TEST

START_TEST(secrets_go_and_the_rest_stays) {
    spec_forget_secrets(&spec);
    ck_assert_ptr_null(spec.env);
    ck_assert_uint_eq(spec.env_count, 0);
    ck_assert_ptr_null(spec.stdin_data);
    ck_assert_uint_eq(spec.stdin_size, 0);
    ck_assert_ptr_null(spec.streams[STREAM_OUT].path);
    ck_assert_ptr_null(spec.streams[STREAM_ERR].path);
    ck_assert_str_eq(spec.argv[1], "b");
    ck_assert_str_eq(spec.name, "name");
    ck_assert_str_eq(spec.key, "key");
    ck_assert_str_eq(spec.canonical, "{}");
    ck_assert_str_eq(spec.cwd, "/");
    ck_assert_str_eq(spec_label(&spec, "team"), "red");
    spec_forget_secrets(&spec); // a second time there is nothing to do
}
END_TEST

START_TEST(an_unset_variable_has_no_value_to_forget) {
    free(spec.env[0].value);
    spec.env[0].value = NULL;
    spec_forget_secrets(&spec);
    ck_assert_ptr_null(spec.env);
}
END_TEST

START_TEST(done_leaves_nothing_behind) {
    static const struct spec zero;
    spec_done(&spec);
    ck_assert_mem_eq(&spec, &zero, sizeof(spec));
    spec_done(&spec);
}
END_TEST

START_TEST(a_label_is_found_by_its_whole_name) {
    ck_assert_ptr_null(spec_label(&spec, "tea"));
    ck_assert_ptr_null(spec_label(&spec, "teams"));
    ck_assert_ptr_null(spec_label(&spec, ""));
}
END_TEST

START_TEST(only_a_captured_stream_is_captured) {
    for (int sink = SINK_CAPTURE; sink <= SINK_FD; sink++) {
        spec.streams[STREAM_ERR].sink = (enum spec_sink)sink;
        ck_assert_int_eq(spec_captures(&spec, STREAM_ERR), sink == SINK_CAPTURE);
        ck_assert(!spec_captures(&spec, STREAM_OUT));
    }
}
END_TEST

START_TEST(limits_are_in_the_order_of_the_table) {
    const struct proto_field *field = proto_spec_fields;
    while (field->name && !streq(field->name, "limits"))
        field++;
    for (int i = 0; i < LIMIT_COUNT; i++)
        ck_assert_str_eq(field->type->fields[i].name, spec_limit_names[i]);
    ck_assert_ptr_null(field->type->fields[LIMIT_COUNT].name);
}
END_TEST

START_TEST(limits_of_the_tree_are_told_from_those_of_processes) {
    ck_assert(!spec_limits_tree(&spec));
    spec.limits = malloc(LIMIT_COUNT * sizeof(*spec.limits));
    for (int i = 0; i < LIMIT_COUNT; i++)
        spec.limits[i] = i == LIMIT_CORE ? 0 : -1;
    ck_assert(!spec_limits_tree(&spec));
    spec.limits[LIMIT_PROCESSES] = 5;
    ck_assert(spec_limits_tree(&spec));
    spec_forget_secrets(&spec); // only a launch needs them
    ck_assert(!spec_limits_tree(&spec));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("spec");
    TCase *group = suite_case(suite, "spec", setup, teardown);
    tcase_add_test(group, defaults_are_the_protocols);
    tcase_add_test(group, secrets_go_and_the_rest_stays);
    tcase_add_test(group, an_unset_variable_has_no_value_to_forget);
    tcase_add_test(group, done_leaves_nothing_behind);
    tcase_add_test(group, a_label_is_found_by_its_whole_name);
    tcase_add_test(group, only_a_captured_stream_is_captured);
    tcase_add_test(group, limits_are_in_the_order_of_the_table);
    tcase_add_test(group, limits_of_the_tree_are_told_from_those_of_processes);
    return suite_run(suite);
}
