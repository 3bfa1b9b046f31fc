// history_list: what it costs is told by how many rows it looks at, and these are one's own.
#include <stdio.h>

#include "common/util.h"
#include "daemon/store/history_internal.h"
#include "tests/unit/suite.h"

enum { ANN = 1000, BOB };

static char directory[64], path[80];
static struct history h;
static int64_t last_id, steps;

static int on_step(void *data) {
    steps++;
    return 0;
}

static void file_open(void) {
    ck_assert_int_eq(history_file_open(&h.reader, path, true), SQLITE_OK);
    sqlite3_progress_handler(h.reader.db, 1, on_step, NULL);
}

static void run(const char *sql) {
    ck_assert_int_eq(sqlite3_exec(h.reader.db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void setup(void) {
    strcpy(directory, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/history.db", directory);
    last_id = 0;
    file_open();
}

static void teardown(void) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    history_file_close(&h.reader);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        char name[96];
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}

// So many jobs with the labels a=1 and b=2.
static void put(uid_t owner, int count, const char *name) {
    char words[][2] = {"a", "1", "b", "2"}, spec[] = "{}";
    char *labels[] = {words[0], words[1], words[2], words[3], NULL}, *own = name ? strdup(name) : NULL;
    struct history_job job = {
        .owner = owner, .name = own, .spec = spec, .labels = labels, .is_final = true, .expires_at = 1e12};
    run("BEGIN");
    for (int i = 0; i < count; i++) {
        job.id = ++last_id;
        ck_assert_int_eq(history_file_put(&h.reader, &job, false), SQLITE_OK);
    }
    run("COMMIT");
    free(own);
}

static size_t list(const struct history_filter *filter, int64_t ids[10], int64_t *ret_end) {
    size_t count = history_list(&h, filter, ids, 10, ret_end);
    ck_assert_ptr_null(history_unread(&h));
    return count;
}

static char a[] = "a", one[] = "1", b[] = "b", two[] = "2";
static char *const both[] = {a, one, b, two, NULL}, *const first[] = {a, one, NULL};

static const struct history_filter of_ann = {.by_owner = true, .owner = ANN, .labels = both};

START_TEST(what_others_have_takes_no_time) {
    int64_t ids[10], end, before;
    put(ANN, 2, NULL);
    steps = 0;
    ck_assert_uint_eq(list(&of_ann, ids, &end), 2);
    before = steps;
    put(BOB, 1000, NULL);
    steps = 0;
    ck_assert_uint_eq(list(&of_ann, ids, &end), 2);
    ck_assert_int_eq(steps, before);
    ck_assert_int_eq(ids[0], 2);
    ck_assert_int_eq(ids[1], 1);
}
END_TEST

START_TEST(who_sees_all_sees_all_of_a_label) {
    int64_t ids[10], end;
    struct history_filter filter = {.labels = both};
    put(ANN, 2, NULL);
    put(BOB, 3, "theirs");
    steps = 0;
    ck_assert_uint_eq(list(&filter, ids, &end), 5);
    ck_assert_int_eq(ids[0], 5);
    filter.name = "theirs";
    filter.before = 5;
    ck_assert_uint_eq(list(&filter, ids, &end), 2);
    put(ANN, 1000, NULL);
    filter.before = 3;
    steps = 0;
    ck_assert_uint_eq(list(&filter, ids, &end), 0);
    ck_assert_int_lt(steps, 500); // it goes by the label, from there on
}
END_TEST

START_TEST(another_s_is_not_read) {
    int64_t before;
    put(BOB, 1, NULL);
    ck_assert_ptr_null(history_find(&h, 2, ANN)); // from here on it is prepared
    steps = 0;
    ck_assert_ptr_null(history_find(&h, 1, ANN));
    before = steps;
    ck_assert_ptr_null(history_unread(&h));
    steps = 0;
    ck_assert_ptr_null(history_find(&h, 2, ANN));
    ck_assert_int_le(before - steps, 8); // whose it is, and nothing of it
    const int64_t owners[] = {BOB, HISTORY_ANYBODY};
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        struct history_job *job = history_find(&h, 1, owners[i]);
        ck_assert_ptr_nonnull(job);
        ck_assert_uint_eq(job->owner, BOB);
        history_job_free(job);
    }
}
END_TEST

// A page of one label whose jobs are not the ones that are asked for.
START_TEST(a_page_looks_at_so_many_and_no_more) {
    int64_t ids[10], end;
    struct history_filter filter = {.by_owner = true, .owner = ANN, .labels = first, .name = "rare"};
    put(ANN, 1, "rare");
    put(ANN, HISTORY_LOOKS, NULL);
    ck_assert_uint_eq(list(&filter, ids, &end), 0);
    ck_assert_int_eq(end, 2);
    filter.before = end;
    ck_assert_uint_eq(list(&filter, ids, &end), 1);
    ck_assert_int_eq(ids[0], 1);
    ck_assert_int_eq(end, 0);
}
END_TEST

START_TEST(labels_of_before_get_their_owners) {
    int64_t ids[10], end;
    put(ANN, 2, NULL);
    put(BOB, 3, NULL);
    run("CREATE TABLE old (name TEXT NOT NULL, value TEXT NOT NULL, job INTEGER NOT NULL,"
        " PRIMARY KEY (name, value, job)) WITHOUT ROWID; INSERT INTO old SELECT name, value, job FROM label;"
        "INSERT INTO old VALUES ('a', '1', 4711);" // of a job that is not there
        "DROP TABLE label; ALTER TABLE old RENAME TO label; CREATE INDEX label_job ON label (job);"
        "PRAGMA user_version = 4");
    history_file_close(&h.reader);
    file_open();
    ck_assert_uint_eq(list(&of_ann, ids, &end), 2);
    ck_assert_uint_eq(list(&(struct history_filter){.labels = both}, ids, &end), 5);
    uid_t owner;
    ck_assert_int_eq(history_file_drop(&h.reader, 1, &owner), SQLITE_OK);
    ck_assert_uint_eq(owner, ANN);
    ck_assert_uint_eq(list(&of_ann, ids, &end), 1);
    put(ANN, 1, NULL);
    ck_assert_uint_eq(list(&of_ann, ids, &end), 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("history_list");
    TCase *group = suite_case(suite, "labels", setup, teardown);
    tcase_add_test(group, what_others_have_takes_no_time);
    tcase_add_test(group, who_sees_all_sees_all_of_a_label);
    tcase_add_test(group, another_s_is_not_read);
    tcase_add_test(group, a_page_looks_at_so_many_and_no_more);
    tcase_add_test(group, labels_of_before_get_their_owners);
    return suite_run(suite);
}
