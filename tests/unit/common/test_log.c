// Tests of the log: levels, one write a line, what the journal gets.
#include "common/log.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static FILE *written; // what stderr is while a test runs
static int stderr_kept;

static void setup(void) {
    unsetenv("JOURNAL_STREAM");
    written = tmpfile();
    stderr_kept = dup(STDERR_FILENO);
    ck_assert(written && stderr_kept >= 0 && dup2(fileno(written), STDERR_FILENO) >= 0);
}

static void teardown(void) {
    dup2(stderr_kept, STDERR_FILENO);
    close(stderr_kept);
    fclose(written);
}

// All that was written since the start; the text is of the test's.
static char *text_written(void) {
    static char text[8192];
    ssize_t n = pread(fileno(written), text, sizeof(text) - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = 0;
    return text;
}

static void journal_is_stderr(void) {
    struct stat st;
    char name[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", name, 1);
}

START_TEST(levels_have_names) {
    enum log_level level = LOG_LEVEL_INFO;
    ck_assert_int_eq(log_level_parse("error", &level), 0);
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    ck_assert_int_eq(log_level_parse("warning", &level), 0);
    ck_assert_int_eq(level, LOG_LEVEL_WARNING);
    ck_assert_int_eq(log_level_parse("info", &level), 0);
    ck_assert_int_eq(level, LOG_LEVEL_INFO);
    ck_assert_int_eq(log_level_parse("debug", &level), 0);
    ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
    const char *const wrong[] = {"", "Error", "err", "errors", "7", " info"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        ck_assert_int_eq(log_level_parse(wrong[i], &level), -EINVAL);
    ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(only_what_is_urgent_enough_is_written) {
    const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        struct log log;
        ck_assert_int_eq(ftruncate(fileno(written), 0), 0);
        rewind(written);
        log_init(&log, levels[i]);
        log_error(&log, "E");
        log_warning(&log, "W");
        log_info(&log, "I");
        log_debug(&log, "D");
        size_t lines = 0;
        for (const char *p = text_written(); *p; p++)
            lines += *p == '\n';
        ck_assert_uint_eq(lines, i + 1);
    }
}
END_TEST

START_TEST(a_line_has_time_and_program) {
    struct log log;
    log_init(&log, LOG_LEVEL_INFO);
    ck_assert(!log.journal);
    log_info(&log, "job %d: %s", 7, "ended");
    int year, month, day, hour, minute, second, milli, end = 0;
    sscanf(text_written(), "%4d-%2d-%2d %2d:%2d:%2d.%3d supd: job 7: ended%n", &year, &month, &day, &hour, &minute,
           &second, &milli, &end);
    ck_assert_msg(end > 0 && streq(text_written() + end, "\n"), "%s", text_written());
}
END_TEST

START_TEST(the_journal_gets_priorities) {
    struct log log;
    journal_is_stderr();
    log_init(&log, LOG_LEVEL_DEBUG);
    ck_assert(log.journal);
    log_error(&log, "a");
    log_warning(&log, "b");
    log_info(&log, "c");
    log_debug(&log, "d");
    ck_assert_str_eq(text_written(), "<3>a\n<4>b\n<6>c\n<7>d\n");
}
END_TEST

START_TEST(another_journal_is_none) {
    struct log log;
    const char *const others[] = {"", "1:2", "x", "0:0:0"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        setenv("JOURNAL_STREAM", others[i], 1);
        log_init(&log, LOG_LEVEL_INFO);
        ck_assert(!log.journal);
    }
    journal_is_stderr();
    close(STDERR_FILENO);
    log_init(&log, LOG_LEVEL_INFO);
    ck_assert(!log.journal);
    log_error(&log, "to nobody");
}
END_TEST

START_TEST(a_line_is_a_line_whatever_is_in_it) {
    struct log log;
    journal_is_stderr();
    log_init(&log, LOG_LEVEL_INFO);
    log_info(&log, "%s", "a\nb\rc\033[1m\td \xc3\xa4%s");
    ck_assert_str_eq(text_written(), "<6>a?b?c?[1m\td \xc3\xa4%s\n");
}
END_TEST

START_TEST(a_long_line_is_cut) {
    struct log log;
    char text[5000];
    journal_is_stderr();
    log_init(&log, LOG_LEVEL_INFO);
    for (size_t length = 2030; length < 2060; length++) {
        memset(text, 'x', length);
        text[length] = 0;
        ck_assert_int_eq(ftruncate(fileno(written), 0), 0);
        rewind(written);
        log_info(&log, "%s", text);
        const char *line = text_written();
        ck_assert_uint_le(strlen(line), 2048);
        ck_assert_uint_ge(strlen(line), MIN(length, (size_t)2040));
        ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
        ck_assert_uint_eq(strspn(line + 3, "x"), strlen(line) - 4); // and nothing but the text
    }
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    log_info(&log, "%s", text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("log");
    TCase *all = suite_case(suite, "log", setup, teardown);
    tcase_add_test(all, levels_have_names);
    tcase_add_test(all, only_what_is_urgent_enough_is_written);
    tcase_add_test(all, a_line_has_time_and_program);
    tcase_add_test(all, the_journal_gets_priorities);
    tcase_add_test(all, another_journal_is_none);
    tcase_add_test(all, a_line_is_a_line_whatever_is_in_it);
    tcase_add_test(all, a_long_line_is_cut);
    return suite_run(suite);
}
