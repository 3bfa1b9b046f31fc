// options: the command line, the paths that follow from it, and errors that name the option.
#include "daemon/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static struct options options;
static char dir[64], text[8192];

static void setup(void) {
    strcpy(dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    setenv("XDG_STATE_HOME", "/home/u/state", 1);
    setenv("XDG_CONFIG_HOME", "/home/u/config", 1);
    setenv("HOME", "/home/u", 1);
}

static void teardown(void) {
    unlink("config");
    unlink("told");
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(dir);
}

// What is told on stdout and stderr comes to be in `text`.
static int parse(const char *const *arguments) {
    char *argv[140] = {(char *)(uintptr_t) "supd"};
    int argc = 1;
    for (; *arguments; arguments++)
        argv[argc++] = (char *)(uintptr_t)*arguments;
    fflush(NULL);
    int told = open("told", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), out = dup(1), err = dup(2);
    dup2(told, 1);
    dup2(told, 2);
    optind = 0; // getopt(3) begins anew
    int r = options_parse(argc, argv, &options);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    ssize_t n = pread(told, text, sizeof(text) - 1, 0);
    text[MAX(n, 0)] = 0;
    close(out);
    close(err);
    close(told);
    return r;
}
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void expect_path(const char *got, const char *expected) {
    ck_assert_pstr_eq(got, expected);
}

START_TEST(the_users_paths_follow_the_environment) {
    ck_assert_msg(PARSE("--user") == 0, "%s", text);
    ck_assert(!options.system && !options.describe);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_INFO);
    ck_assert_double_eq(options.idle_exit, 0);
    expect_path(options.socket, "/run/user/7/supd/socket");
    expect_path(options.runtime_dir, "/run/user/7/supd");
    expect_path(options.state_dir, "/home/u/state/supd");
    expect_path(options.config, "/home/u/config/supd/supd.json");
    options_done(&options);
}
END_TEST

START_TEST(without_an_environment_there_are_paths_too) {
    char expected[64];
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("XDG_STATE_HOME");
    setenv("XDG_CONFIG_HOME", "relative", 1); // is to be ignored
    ck_assert_msg(PARSE("--user") == 0, "%s", text);
    snprintf(expected, sizeof(expected), "/tmp/supd-%u/socket", (unsigned)geteuid());
    expect_path(options.socket, expected);
    expect_path(options.state_dir, "/home/u/.local/state/supd");
    expect_path(options.config, "/home/u/.config/supd/supd.json");
    options_done(&options);
}
END_TEST

START_TEST(the_systems_paths_are_fixed) {
    ck_assert_msg(PARSE("--system") == 0, "%s", text);
    ck_assert(options.system);
    expect_path(options.socket, "/run/supd/socket");
    expect_path(options.runtime_dir, "/run/supd");
    expect_path(options.state_dir, "/var/lib/supd");
    expect_path(options.config, "/etc/supd/supd.json");
    options_done(&options);
}
END_TEST

START_TEST(what_is_given_is_taken_and_made_absolute) {
    char expected[128];
    ck_assert_msg(PARSE("--user", "--socket", "s", "--state-dir=st", "--runtime-dir", "/rt", "--log-level", "debug",
                        "--idle-exit", "2.5", "--describe", "--no-keeper") == 0,
                  "%s", text);
    snprintf(expected, sizeof(expected), "%s/s", dir);
    expect_path(options.socket, expected);
    snprintf(expected, sizeof(expected), "%s/st", dir);
    expect_path(options.state_dir, expected);
    expect_path(options.runtime_dir, "/rt");
    ck_assert_int_eq(options.log_level, LOG_LEVEL_DEBUG);
    ck_assert_double_eq(options.idle_exit, 2.5);
    ck_assert(options.describe);
    options_done(&options);
}
END_TEST

// In a directory that is everybody's, live output goes to one beside the socket.
START_TEST(live_output_stands_beside_the_socket) {
    char expected[128], socket[128];
    snprintf(socket, sizeof(socket), "%s/s", dir);
    ck_assert_int_eq(PARSE("--user", "--socket", socket), 0);
    expect_path(options.runtime_dir, dir);
    options_done(&options);
    ck_assert_int_eq(chmod(dir, 0777), 0);
    ck_assert_int_eq(PARSE("--user", "--socket", socket), 0);
    snprintf(expected, sizeof(expected), "%s/s.d", dir);
    expect_path(options.runtime_dir, expected);
    options_done(&options);
}
END_TEST

START_TEST(sets_go_over_the_file_in_their_order) {
    FILE *file = fopen("config", "we");
    fputs("{\"launchers\": 2, \"max_clients\": 7}", file);
    fclose(file);
    ck_assert_msg(PARSE("--user", "--set", "launchers=3", "--config", "config", "--set", "launchers=5") == 0, "%s",
                  text);
    ck_assert_int_eq(options.settings.launchers, 5);
    ck_assert_int_eq(options.settings.max_clients, 7);
    options_done(&options);
}
END_TEST

START_TEST(an_error_names_its_option) {
    static const struct {
        const char *arguments[4], *part;
    } cases[] = {
        {{"--nonsense"}, "--nonsense"},
        {{"--socket"}, "--socket"},
        {{"--user=yes"}, "--user"},
        {{"--user", "--system"}, "--system"},
        {{"--log-level", "loud"}, "--log-level: loud"},
        {{"--idle-exit", "0"}, "--idle-exit: 0"},
        {{"--idle-exit", "-1"}, "--idle-exit: -1"},
        {{"--idle-exit", "soon"}, "--idle-exit: soon"},
        {{"--idle-exit", "nan"}, "--idle-exit: nan"},
        {{"--idle-exit", "inf"}, "--idle-exit: inf"},
        {{"--idle-exit", "5s"}, "--idle-exit: 5s"},
        {{"--idle-exit", ""}, "--idle-exit"},
        {{"--set", "launchers"}, "--set"},
        {{"--set", "lanchers=4"}, "--set: lanchers"},
        {{"--set", "launchers=99"}, "--set: launchers"},
        {{"--config", "/nowhere/file"}, "/nowhere/file"},
        {{"word"}, "word"},
    };
    ck_assert_int_eq(parse(cases[_i].arguments), -EINVAL);
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): each case has its part
    ck_assert_msg(strstr(text, cases[_i].part) != NULL, "\"%s\" does not say %s", text, cases[_i].part);
    options_done(&options);
}
END_TEST

START_TEST(a_wrong_file_is_named_with_its_key) {
    FILE *file = fopen("config", "we");
    fputs("{\"launchers\": 99}", file);
    fclose(file);
    ck_assert_int_eq(PARSE("--config", "config"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(text, "config: "));
    ck_assert_ptr_nonnull(strstr(text, "launchers"));
    options_done(&options);
}
END_TEST

START_TEST(too_many_sets_are_refused) {
    const char *arguments[140] = {NULL};
    for (int i = 0; i < 65; i++)
        arguments[i] = "--set=launchers=4";
    ck_assert_int_eq(parse(arguments), -EINVAL);
    ck_assert_ptr_nonnull(strstr(text, "--set"));
    options_done(&options);
}
END_TEST

START_TEST(help_and_version_are_answered) {
    ck_assert_int_eq(PARSE("--help"), 1);
    ck_assert_ptr_nonnull(strstr(text, "--idle-exit SECONDS"));
    ck_assert_ptr_nonnull(strstr(text, "max_request_bytes"));
    options_done(&options);
}
END_TEST

START_TEST(the_version_alone) {
    ck_assert_int_eq(PARSE("--version"), 1);
    ck_assert_int_eq(strncmp(text, "supd ", 5), 0);
    options_done(&options);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("daemon/options");
    TCase *group = suite_case(suite, "options", setup, teardown);
    tcase_add_test(group, the_users_paths_follow_the_environment);
    tcase_add_test(group, without_an_environment_there_are_paths_too);
    tcase_add_test(group, the_systems_paths_are_fixed);
    tcase_add_test(group, what_is_given_is_taken_and_made_absolute);
    tcase_add_test(group, live_output_stands_beside_the_socket);
    tcase_add_test(group, sets_go_over_the_file_in_their_order);
    tcase_add_loop_test(group, an_error_names_its_option, 0, 17);
    tcase_add_test(group, a_wrong_file_is_named_with_its_key);
    tcase_add_test(group, too_many_sets_are_refused);
    tcase_add_test(group, help_and_version_are_answered);
    tcase_add_test(group, the_version_alone);
    return suite_run(suite);
}
