// exit_code: what each end of a job is to a shell.
#include <jansson.h>
#include <stdio.h>

#include "client/exit_code.h"
#include "tests/unit/suite.h"

static int code_of(const char *result) {
    json_t *job = json_pack("{s:o}", "result", json_loads(result, JSON_DECODE_ANY, NULL));
    ck_assert_ptr_nonnull(job);
    int code = exit_code(job);
    json_decref(job);
    return code;
}

START_TEST(own_code_of_a_command_that_exited) {
    ck_assert_int_eq(code_of("{\"reason\": \"exited\", \"exit_code\": 0, \"signal\": null}"), 0);
    ck_assert_int_eq(code_of("{\"reason\": \"exited\", \"exit_code\": 77, \"signal\": null}"), 77);
}
END_TEST

START_TEST(signal_is_128_more) {
    ck_assert_int_eq(code_of("{\"reason\": \"signaled\", \"exit_code\": null, \"signal\": \"SIGSEGV\"}"), 139);
    ck_assert_int_eq(code_of("{\"reason\": \"signaled\", \"exit_code\": null, \"signal\": \"SIG35\"}"), 163);
}
END_TEST

START_TEST(any_timeout_is_124_however_it_ended) {
    ck_assert_int_eq(code_of("{\"reason\": \"timeout\", \"timed_out\": true, \"exit_code\": 0}"), 124);
    ck_assert_int_eq(code_of("{\"reason\": \"cpu_timeout\", \"timed_out\": true, \"signal\": \"SIGKILL\"}"), 124);
}
END_TEST

START_TEST(spawn_failure_tells_not_found_from_not_executable) {
    static const struct {
        const char *stage, *name;
        int code;
    } cases[] = {{"exec", "ENOENT", 127},  {"exec", "ENOTDIR", 127}, {"exec", "EACCES", 126},
                 {"exec", "ENOEXEC", 126}, {"cwd", "ENOENT", 125},   {"resources", "EMFILE", 125}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "{\"reason\": \"spawn_failed\", \"error\": {\"stage\": \"%s\", \"errno\": \"%s\"}}", cases[i].stage,
                 cases[i].name);
        ck_assert_int_eq(code_of(text), cases[i].code);
    }
}
END_TEST

START_TEST(what_was_stopped_is_never_0) {
    ck_assert_int_eq(code_of("{\"reason\": \"killed\", \"exit_code\": 0}"), 143);
    ck_assert_int_eq(code_of("{\"reason\": \"output_limit\", \"exit_code\": 0}"), 143);
    ck_assert_int_eq(code_of("{\"reason\": \"oom\", \"exit_code\": 0}"), 143);
    ck_assert_int_eq(code_of("{\"reason\": \"killed\", \"exit_code\": 9}"), 9);
    ck_assert_int_eq(code_of("{\"reason\": \"killed\", \"signal\": \"SIGKILL\"}"), 137);
}
END_TEST

START_TEST(what_supd_cannot_say_is_125) {
    ck_assert_int_eq(code_of("{\"reason\": \"lost\"}"), 125);
    ck_assert_int_eq(code_of("{\"reason\": \"skipped\"}"), 125);
    ck_assert_int_eq(code_of("null"), 125);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("exit_code");
    TCase *group = suite_case(suite, "ends", NULL, NULL);
    tcase_add_test(group, own_code_of_a_command_that_exited);
    tcase_add_test(group, signal_is_128_more);
    tcase_add_test(group, any_timeout_is_124_however_it_ended);
    tcase_add_test(group, spawn_failure_tells_not_found_from_not_executable);
    tcase_add_test(group, what_was_stopped_is_never_0);
    tcase_add_test(group, what_supd_cannot_say_is_125);
    return suite_run(suite);
}
