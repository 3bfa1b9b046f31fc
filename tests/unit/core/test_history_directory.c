// history_directory: outputs beside the database.
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/store/history_directory.h"
#include "tests/unit/suite.h"

enum { SIZE = 20000 };

static char top[64], log_path[80], output_path[80];

static void setup(void) {
    static const char data[SIZE] = "the output";
    strcpy(top, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(log_path, sizeof(log_path), "%s/log", top);
    snprintf(output_path, sizeof(output_path), "%s/7.1", top);
    FILE *file = fopen(log_path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, SIZE, file), SIZE);
    ck_assert_int_eq(fclose(file), 0);
}

static void teardown(void) {
    unlink(log_path);
    unlink(output_path);
    ck_assert_int_eq(rmdir(top), 0); // nothing else was left there
}

static bool take(void) {
    struct history_job job = {.id = 7, .streams = {{.path = log_path, .size = SIZE}}};
    ck_assert_int_eq(history_directory_take(top, &job, 0), 0);
    return job.streams[0].has_file;
}

// Put again while it was written, and written again once its log has moved here.
START_TEST(a_job_that_comes_again_keeps_its_output) {
    struct stat first, again;
    ck_assert(take());
    ck_assert_int_eq(stat(output_path, &first), 0);
    ck_assert(take());
    ck_assert_int_eq(unlink(log_path), 0);
    ck_assert(take());
    ck_assert_int_eq(stat(output_path, &again), 0);
    ck_assert_uint_eq(first.st_ino, again.st_ino); // which others may have open
    ck_assert_int_eq(again.st_size, SIZE);
}
END_TEST

START_TEST(one_that_was_cut_short_is_written_anew) {
    struct stat st;
    ck_assert(take());
    ck_assert_int_eq(truncate(output_path, 10), 0);
    ck_assert(take());
    ck_assert_int_eq(stat(output_path, &st), 0);
    ck_assert_int_eq(st.st_size, SIZE);
}
END_TEST

START_TEST(what_is_nowhere_is_a_gap) {
    ck_assert_int_eq(unlink(log_path), 0);
    ck_assert(!take());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("history_directory");
    TCase *group = suite_case(suite, "outputs", setup, teardown);
    tcase_add_test(group, a_job_that_comes_again_keeps_its_output);
    tcase_add_test(group, one_that_was_cut_short_is_written_anew);
    tcase_add_test(group, what_is_nowhere_is_a_gap);
    return suite_run(suite);
}
