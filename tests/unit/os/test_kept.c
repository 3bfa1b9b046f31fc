// kept: records and blobs, and memory that goes back once nothing is in it.
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/os/kept.h"
#include "tests/unit/suite.h"

enum { MANY = 2000, BLOB = 3000 };

static struct kept kept;
static int64_t *records[MANY];
static struct kept_blob blobs[MANY];

static void setup(void) {
    ck_assert_int_eq(kept_new(&kept), 0);
    ck_assert_int_eq(kept_begin(&kept), 0);
}

static void teardown(void) {
    kept_end(&kept);
}

static int64_t memory(void) {
    struct stat st;
    ck_assert_int_eq(fstat(kept.head->fd, &st), 0);
    return (int64_t)st.st_blocks * 512;
}

static void fill(int from, int to) {
    char bytes[BLOB];
    for (int i = from; i < to; i++) {
        memset(bytes, 'a' + i % 26, sizeof(bytes));
        records[i] = kept_take(&kept, KEPT_JOB, i + 1);
        ck_assert_ptr_nonnull(records[i]);
        ck_assert_int_eq(kept_blob_put(&kept, &blobs[i], bytes, sizeof(bytes)), 0);
    }
}

static void drop(int from, int to) {
    for (int i = from; i < to; i++) {
        kept_blob_drop(&kept, &blobs[i]);
        kept_drop(&kept, KEPT_JOB, records[i]);
    }
}

static void holds(int i) {
    const char *bytes = kept_blob_get(&kept, &blobs[i]);
    ck_assert_int_eq(kept_id(records[i]), i + 1);
    ck_assert_ptr_nonnull(bytes);
    char expected[BLOB];
    memset(expected, 'a' + i % 26, sizeof(expected));
    ck_assert_mem_eq(bytes, expected, sizeof(expected));
}

START_TEST(what_is_empty_goes_back) {
    fill(0, 10);
    int64_t before = memory();
    fill(10, MANY);
    ck_assert_int_gt(memory(), before + MANY * BLOB / 2);
    drop(10, MANY);
    kept_trim(&kept);
    ck_assert_int_le(memory(), before);
    for (int i = 0; i < 10; i++)
        holds(i);
}
END_TEST

START_TEST(floods_of_all_sizes_leave_no_more_than_one) {
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++) {
        int64_t left = 0;
        for (int most = MANY / 2; most < MANY; most += 37) {
            for (int i = 0; i < most; i++)
                ck_assert_ptr_nonnull(records[i] = kept_take(&kept, (enum kept_kind)kind, i + 1));
            for (int i = 0; i < most; i++)
                kept_drop(&kept, (enum kept_kind)kind, records[i]);
            kept_trim(&kept);
            left = left > 0 ? left : memory();
        }
        ck_assert_int_le(memory(), left);
    }
}
END_TEST

START_TEST(what_is_in_between_stays) {
    fill(0, MANY);
    drop(0, 700);
    drop(701, 1500);
    drop(1501, MANY);
    kept_trim(&kept);
    holds(700);
    holds(1500);
    ck_assert_uint_eq(kept.head->used[KEPT_JOB], 1501);
    int count = 0;
    for (void *record = NULL; (record = kept_next(&kept, KEPT_JOB, record));)
        count++;
    ck_assert_int_eq(count, 2);
    ck_assert_int_lt(memory(), 5 << 20);
}
END_TEST

START_TEST(a_blob_stays_where_another_has_no_room) {
    fill(0, 2);
    struct kept_blob rest = {.block = blobs[1].block + 12, .size = (256 << 20) - 2 * 3072}; // but for those two
    kept_blob_claim(&kept, &rest);
    ck_assert_int_eq(kept_blob_put(&kept, &blobs[0], "x", 1), -ENOMEM);
    holds(0);
    kept_blob_drop(&kept, &blobs[1]);
    ck_assert_int_eq(kept_blob_put(&kept, &blobs[0], "x", 1), 0);
    ck_assert_mem_eq(kept_blob_get(&kept, &blobs[0]), "x", 1);
    ck_assert_int_eq(kept_blob_put(&kept, &blobs[0], "", 0), 0);
    ck_assert_ptr_null(kept_blob_get(&kept, &blobs[0]));
}
END_TEST

START_TEST(there_is_room_again_afterwards) {
    for (int round = 0; round < 3; round++) {
        fill(0, MANY);
        for (int i = 0; i < MANY; i++)
            holds(i);
        drop(0, MANY);
        kept_trim(&kept);
        ck_assert_uint_eq(kept.head->used[KEPT_JOB], 0);
    }
    kept_trim(&kept); // nothing left to do
    ck_assert_ptr_null(kept_next(&kept, KEPT_JOB, NULL));
}
END_TEST

START_TEST(the_next_worker_finds_what_stayed) {
    fill(0, MANY);
    drop(0, 5);
    drop(6, MANY);
    kept_trim(&kept);
    struct kept next = {.head = kept.head};
    ck_assert_int_eq(kept_begin(&next), 0);
    kept_blob_claim(&next, &blobs[5]);
    int64_t *fresh = kept_take(&next, KEPT_JOB, 99);
    struct kept_blob blob = {0};
    ck_assert_int_eq(kept_blob_put(&next, &blob, "x", 1), 0);
    ck_assert_ptr_ne(fresh, records[5]);
    ck_assert_uint_ne(blob.block, blobs[5].block);
    holds(5);
    kept_end(&next);
}
END_TEST

// Memory that no worker has left like this is not believed, and a blob that lies nowhere is none.
START_TEST(what_can_not_be_is_not_believed) {
    struct kept next;
    struct kept_blob nowhere = {.block = UINT32_MAX - 1, .size = 4096}, large = {.block = 1, .size = UINT32_MAX};
    kept_blob_claim(&kept, &nowhere);
    kept_blob_claim(&kept, &large);
    ck_assert(kept_blob_get(&kept, &nowhere) == NULL && kept_blob_get(&kept, &large) == NULL);
    next = (struct kept){.head = kept.head};
    kept.head->used[KEPT_CALL] = KEPT_RECORDS + 1;
    ck_assert_int_eq(kept_begin(&next), -EINVAL);
    kept.head->used[KEPT_CALL] = 0;
    kept.head->store.armed = 1;
    kept.head->store.at = UINT64_MAX - 8;
    kept.head->store.size = 16;
    ck_assert_int_eq(kept_begin(&next), -EINVAL);
    kept.head->store.armed = 0;
    kept.head->journal_end = kept.head->journal_start + KEPT_JOURNAL + 1;
    ck_assert_int_eq(kept_begin(&next), -EINVAL);
    kept.head->journal_end = kept.head->journal_start;
    ck_assert_int_eq(kept_begin(&next), 0);
    kept_end(&next);
}
END_TEST

START_TEST(the_journal_begins_anew_when_it_is_empty) {
    struct leader_exit end = {.known = true};
    for (int i = 0; i < 3 * KEPT_JOURNAL; i++) {
        kept_journal_put(kept.head, 1000 + i, &end);
        kept_journal_put(kept.head, 1001 + i, &end);
        const struct kept_end *entry = kept_journal_peek(kept.head);
        ck_assert(entry == &kept.head->journal[0] && entry->pid == 1000 + i);
        kept_journal_pop(kept.head);
        entry = kept_journal_peek(kept.head);
        ck_assert(entry == &kept.head->journal[1] && entry->pid == 1001 + i);
        kept_journal_pop(kept.head);
        ck_assert_ptr_null(kept_journal_peek(kept.head));
    }
    for (int i = 0; i < KEPT_JOURNAL; i++) {
        ck_assert(kept_journal_room(kept.head));
        kept_journal_put(kept.head, i, &end);
    }
    ck_assert(!kept_journal_room(kept.head));
    kept_journal_pop(kept.head);
    ck_assert(kept_journal_room(kept.head));
    kept_journal_put(kept.head, KEPT_JOURNAL, &end); // where the first stood: it is not empty
    for (int i = 1; i <= KEPT_JOURNAL; i++, kept_journal_pop(kept.head))
        ck_assert_int_eq(kept_journal_peek(kept.head)->pid, i);
    ck_assert_ptr_null(kept_journal_peek(kept.head));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/kept");
    TCase *group = suite_case(suite, "kept", setup, teardown);
    tcase_add_test(group, what_is_empty_goes_back);
    tcase_add_test(group, floods_of_all_sizes_leave_no_more_than_one);
    tcase_add_test(group, what_is_in_between_stays);
    tcase_add_test(group, a_blob_stays_where_another_has_no_room);
    tcase_add_test(group, there_is_room_again_afterwards);
    tcase_add_test(group, the_next_worker_finds_what_stayed);
    tcase_add_test(group, what_can_not_be_is_not_believed);
    tcase_add_test(group, the_journal_begins_anew_when_it_is_empty);
    return suite_run(suite);
}
