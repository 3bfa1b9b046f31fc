// config: defaults, a JSON file, --set; an error names the setting and the file.
#include "daemon/config.h"

#include <stdio.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static struct config config;
static char path[64], why[256];

static void setup(void) {
    config_init(&config);
    strcpy(path, "/tmp/supd-unit-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    why[0] = 0;
}

static void teardown(void) {
    unlink(path);
}

static int read_text(const char *text) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return config_read(&config, path, true, why);
}

static void expect_why(const char *part) {
    ck_assert_msg(strstr(why, part) != NULL, "\"%s\" does not say %s", why, part);
}

START_TEST(the_defaults_are_those_of_the_protocol) {
    ck_assert_int_eq(config.spawn, SPAWN_FAST);
    ck_assert_int_eq(config.tree, TREE_AUTO);
    ck_assert_int_eq(config.max_request_bytes, 8388608);
    ck_assert(config.launchers >= 2 && config.launchers <= 8);
    ck_assert(config.max_clients > 0 && config.max_calls > 0 && config.max_live_jobs > 0);
    ck_assert(config.output_bytes > 0 && config.history_jobs > 0 && config.history_bytes > 0);
}
END_TEST

START_TEST(a_file_sets_what_it_names) {
    const struct config before = config;
    ck_assert_msg(read_text("{\"spawn\": \"plain\", \"tree\": \"reaper\", \"launchers\": 8, \"output_bytes\": 0}") == 0,
                  "%s", why);
    ck_assert_int_eq(config.spawn, SPAWN_PLAIN);
    ck_assert_int_eq(config.tree, TREE_REAPER);
    ck_assert_int_eq(config.launchers, 8);
    ck_assert_int_eq(config.output_bytes, 0);
    ck_assert_int_eq(config.max_clients, before.max_clients);
    ck_assert_int_eq(read_text("{}"), 0);
    ck_assert_int_eq(config.launchers, 8);
}
END_TEST

static const struct {
    const char *text, *part;
} wrong[] = {
    {"{\"lanchers\": 4}", "lanchers"},
    {"{\"launchers\": 9}", "launchers"},
    {"{\"launchers\": 1}", "launchers"},
    {"{\"launchers\": \"4\"}", "launchers"},
    {"{\"launchers\": 4.5}", "launchers"},
    {"{\"launchers\": null}", "launchers"},
    {"{\"max_clients\": 0}", "max_clients"},
    {"{\"max_request_bytes\": -1}", "max_request_bytes"},
    {"{\"spawn\": \"quick\"}", "spawn"},
    {"{\"spawn\": 1}", "\"fast\", \"plain\""},
    {"{\"tree\": \"cgroups\"}", "tree"},
    {"{\"history_jobs\": 99999999}", "history_jobs"},
    {"[]", "object"},
    {"4", "file"}, // no object: told with the file's name
    {"", "file"},
    {"{\"launchers\": 4", "file"},
    {"{\"launchers\": 4, \"launchers\": 5}", "file"},
};

START_TEST(a_wrong_file_says_what_and_where) {
    const struct config before = config;
    ck_assert_int_eq(read_text(wrong[_i].text), -EINVAL);
    expect_why(path);
    expect_why(streq(wrong[_i].part, "file") ? path : wrong[_i].part);
    // Not a byte of it was touched. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
    ck_assert_int_eq(memcmp(&config, &before, sizeof(config)), 0);
}
END_TEST

START_TEST(a_file_that_is_not_there_matters_where_it_was_named) {
    unlink(path);
    ck_assert_int_eq(config_read(&config, path, false, why), 0);
    ck_assert_int_eq(config_read(&config, path, true, why), -ENOENT);
    expect_why(path);
    ck_assert_int_lt(config_read(&config, "/", false, why), 0); // there, but no file
}
END_TEST

START_TEST(set_takes_numbers_and_words) {
    ck_assert_int_eq(config_set(&config, "tree=none", why), 0);
    ck_assert_int_eq(config.tree, TREE_NONE);
    ck_assert_int_eq(config_set(&config, "tree=\"cgroup\"", why), 0);
    ck_assert_int_eq(config.tree, TREE_CGROUP);
    ck_assert_int_eq(config_set(&config, "spawn=plain", why), 0);
    ck_assert_int_eq(config.spawn, SPAWN_PLAIN);
    ck_assert_int_eq(config_set(&config, "history_bytes=9223372036854775807", why), 0);
    ck_assert_int_eq(config.history_bytes, INT64_MAX);
}
END_TEST

START_TEST(a_wrong_set_names_its_key) {
    static const struct {
        const char *text, *part;
    } cases[] = {{"launchers", "KEY=VALUE"},
                 {"launchers=", "launchers"},
                 {"launchers=many", "launchers"},
                 {"lanchers=4", "lanchers"},
                 {"=4", "setting"},
                 {"max_clients=-1", "max_clients"},
                 {"tree=", "tree"},
                 {"launchers=4 4", "launchers"}};
    const struct config before = config;
    ck_assert_int_eq(config_set(&config, cases[_i].text, why), -EINVAL);
    expect_why(cases[_i].part);
    // Not a byte of it was touched. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
    ck_assert_int_eq(memcmp(&config, &before, sizeof(config)), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon/config");
    TCase *group = suite_case(suite, "config", setup, teardown);
    tcase_add_test(group, the_defaults_are_those_of_the_protocol);
    tcase_add_test(group, a_file_sets_what_it_names);
    tcase_add_loop_test(group, a_wrong_file_says_what_and_where, 0, ARRAY_SIZE(wrong));
    tcase_add_test(group, a_file_that_is_not_there_matters_where_it_was_named);
    tcase_add_test(group, set_takes_numbers_and_words);
    tcase_add_loop_test(group, a_wrong_set_names_its_key, 0, 8);
    return suite_run(suite);
}
