// retention: nobody who has too much stands in the way of what else is to go.
#include <stdio.h>

#include "common/util.h"
#include "daemon/store/retention.h"
#include "tests/unit/suite.h"

enum { ANN = 1000, BOB, EVE };
#define NEVER 1e12

static char directory[64], path[80];
static struct history_writer w;
static int64_t last_id;

static void setup(void) {
    strcpy(directory, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/history.db", directory);
    w = (struct history_writer){.output = directory,
                                .limits = {.jobs = 100, .bytes = INT64_MAX, .owner_jobs = 2, .owner_bytes = INT64_MAX}};
    last_id = 0;
    ck_assert_int_eq(history_left_init(&w.left), 0);
    ck_assert_int_eq(history_file_open(&w.file, path, true), SQLITE_OK);
}

static void teardown(void) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    history_file_close(&w.file);
    history_left_done(&w.left);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        char name[96];
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}

static void put(uid_t owner, int count, double expires_at) {
    char spec[] = "{}";
    for (int i = 0; i < count; i++) {
        struct history_job job = {
            .id = ++last_id, .owner = owner, .spec = spec, .is_final = true, .expires_at = expires_at};
        ck_assert_int_eq(history_file_put(&w.file, &job, false), SQLITE_OK);
    }
}

static int64_t jobs_of(uid_t owner) {
    const struct holder *holder;
    HASH_FIND(hh, w.file.holders.table, &owner, sizeof(owner), holder);
    return holder ? holder->count : 0;
}

static void retain(void) {
    struct history_change *first = NULL, *last = NULL;
    ck_assert_int_eq(retention(&w, &first, &last), SQLITE_OK);
    while (first) {
        struct history_change *change = first;
        first = change->next;
        ck_assert(change->dropped);
        history_change_free(change);
    }
}

START_TEST(whose_time_is_over_goes_beside_one_with_too_many) {
    put(ANN, 3, NEVER);
    put(BOB, 1, 1);
    retain();
    ck_assert_int_eq(jobs_of(ANN), 2);
    ck_assert_int_eq(jobs_of(BOB), 0);
}
END_TEST

START_TEST(whose_time_is_over_goes_where_all_are_too_many) {
    w.limits.jobs = 4;
    put(0, 4, NEVER);
    put(BOB, 1, 1);
    put(ANN, 1, NEVER);
    retain();
    ck_assert_int_eq(jobs_of(BOB), 0);
    ck_assert_int_eq(jobs_of(ANN), 1);
    ck_assert_int_eq(jobs_of(0), 3);
}
END_TEST

START_TEST(all_who_have_too_many_have_less) {
    put(ANN, 3, NEVER);
    put(BOB, 4, NEVER);
    put(EVE, 1, NEVER);
    retain();
    ck_assert_int_eq(jobs_of(ANN), 2);
    ck_assert_int_eq(jobs_of(BOB), 2);
    ck_assert_int_eq(jobs_of(EVE), 1);
}
END_TEST

START_TEST(so_have_all_together) {
    w.limits.jobs = 3;
    put(ANN, 3, NEVER);
    put(0, 4, NEVER);
    retain();
    ck_assert_int_eq(jobs_of(ANN), 2);
    ck_assert_int_eq(jobs_of(0), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("retention");
    TCase *group = suite_case(suite, "what goes", setup, teardown);
    tcase_add_test(group, whose_time_is_over_goes_beside_one_with_too_many);
    tcase_add_test(group, whose_time_is_over_goes_where_all_are_too_many);
    tcase_add_test(group, all_who_have_too_many_have_less);
    tcase_add_test(group, so_have_all_together);
    return suite_run(suite);
}
