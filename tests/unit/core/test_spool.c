// spool: head and ring against a simple model.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/store/spool.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/suite.h"

static char scratch[65536];

enum { MODEL_MAX = 1 << 20 };

static char dir[] = "/tmp/supd-unit-XXXXXX";
static struct spool_host *host;
static struct spool spool;
static char model[MODEL_MAX]; // every byte that was ever written

static void setup(void) {
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(spool_host_new(&(struct spool_host_parts){.path = dir,
                                                               .name = strrchr(dir, '/') + 1,
                                                               .cap = 8 << 20,
                                                               .scratch = scratch},
                                    &host),
                     0);
    for (size_t i = 0; i < MODEL_MAX; i++)
        model[i] = (char)(i * 31 + i / 251);
}

static void teardown(void) {
    spool_done(&spool);
    ck_assert_int_eq(spool_host_stored(host), 0);
    spool_host_free(host);
    rmdir(dir);
}

// Writes the model's next bytes as a pipe would give them: as many as there is room for.
static void put(size_t size, int64_t hold) {
    while (size > 0) {
        size_t room;
        char *to = spool_room(&spool, size, hold, &room);
        HOLDS(to);
        if (room == 0) {
            HOLDS(hold != INT64_MAX); // only a follower holds back
            return;
        }
        HOLDS(room <= size);
        memcpy(to, model + spool.total, room);
        spool_commit(&spool, room);
        size -= room;
    }
}

static bool in_gap(int64_t offset) {
    int64_t gaps[2][2];
    int count = spool_gaps(&spool, gaps);
    for (int i = 0; i < count; i++)
        if (offset >= gaps[i][0] && offset < gaps[i][1])
            return true;
    return false;
}

// What the budget keeps can be read and is right; what it does not keep is a gap and is skipped as one.
static void check(int64_t head, int64_t tail, int64_t limit) {
    int64_t gaps[2][2], total = spool.total, kept = limit >= 0 ? MIN(total, limit) : total;
    int count = spool_gaps(&spool, gaps);
    for (int i = 0; i < count; i++) {
        ck_assert_int_lt(gaps[i][0], gaps[i][1]);
        ck_assert_int_le(gaps[i][1], total);
        if (i > 0)
            ck_assert_int_gt(gaps[i][0], gaps[i - 1][1]);
    }
    for (int64_t at = 0; at < total; at++) {
        bool stored = at < kept && (at < head || at >= kept - tail);
        HOLDS(in_gap(at) == !stored);
    }
    static char got[MODEL_MAX];
    int64_t at = 0;
    while (at < total) {
        size_t n = spool_read(&spool, at, got, sizeof(got));
        ck_assert_mem_eq(got, model + at, n);
        at += (int64_t)n;
        int64_t next = spool_skip_gap(&spool, at);
        ck_assert(next > at || n > 0);
        ck_assert_int_ge(next, at);
        at = next;
    }
    ck_assert_int_eq(at, total);
}

START_TEST(random_writes_match_the_model) {
    static const struct {
        int64_t head, tail, limit;
    } budgets[] = {{0, 0, -1},       {100, 0, -1},   {0, 100, -1},     {100, 100, -1},    {1, 1, -1},
                   {5000, 3000, -1}, {64, 64, 1000}, {1000, 1000, 50}, {100, 100, 0},     {100, 100, 150},
                   {0, 50, 70},      {70, 0, 50},    {4096, 4096, -1}, {10000, 10000, -1}};
    unsigned seed = 7;
    for (size_t b = 0; b < ARRAY_SIZE(budgets); b++) {
        for (int round = 0; round < 3; round++) {
            spool_init(&spool, host, budgets[b].head, budgets[b].tail, budgets[b].limit);
            for (int i = 0; i < 12; i++) {
                put((size_t)(rand_r(&seed) % 3000), INT64_MAX);
                check(budgets[b].head, budgets[b].tail, budgets[b].limit);
            }
            spool_seal(&spool);
            spool_shrink(&spool);
            check(budgets[b].head, budgets[b].tail, budgets[b].limit);
            spool_done(&spool);
        }
    }
    spool_init(&spool, host, 0, 0, -1);
}
END_TEST

// A follower reads on by chance and holds the rest: it gets every byte, whatever the budget keeps.
START_TEST(a_follower_that_holds_loses_nothing) {
    static const struct {
        int64_t head, tail, ring;
    } budgets[] = {{0, 0, 4096}, {100, 0, 5000}, {0, 300, 300}, {50, 70, 4096}, {9000, 10, 64}};
    static char got[4096];
    unsigned seed = 11;
    for (size_t b = 0; b < ARRAY_SIZE(budgets); b++) {
        spool_init(&spool, host, budgets[b].head, budgets[b].tail, -1);
        spool_widen(&spool, budgets[b].ring);
        int64_t seen = 0;
        while (seen < 200000) {
            put(1 + (size_t)rand_r(&seed) % 3000, seen);
            HOLDS(spool.total > seen && spool_skip_gap(&spool, seen) == seen);
            size_t want = 1 + (size_t)rand_r(&seed) % sizeof(got), n = spool_read(&spool, seen, got, want);
            HOLDS(n == MIN(want, (size_t)(spool.total - seen)));
            HOLDS(memcmp(got, model + seen, n) == 0);
            seen += (int64_t)n;
        }
        put(5000, INT64_MAX);
        spool_seal(&spool);
        spool_shrink(&spool);
        check(budgets[b].head, budgets[b].tail, -1);
        spool_done(&spool);
    }
    spool_init(&spool, host, 0, 0, -1);
}
END_TEST

// For want of space head and ring are smaller than asked for: they take no more than the cap, and work as such.
START_TEST(a_log_that_may_not_grow_keeps_what_it_has) {
    int whole = 0, cut = 0;
    char name[64];
    snprintf(name, sizeof(name), "%s-small", strrchr(dir, '/') + 1);
    for (int64_t cap = 0; cap < 300000; cap += 7777) {
        struct spool_host *small;
        ck_assert_int_eq(
            spool_host_new(&(struct spool_host_parts){.path = dir, .name = name, .cap = cap, .scratch = scratch},
                           &small),
            0);
        spool_init(&spool, small, 100000, 150000, -1);
        put(400000, INT64_MAX);
        HOLDS(spool.total == 400000 && spool_host_stored(small) <= cap);
        bool had_all = spool.head_bytes == 100000 && spool.tail_bytes == 150000;
        HOLDS(had_all == (cap >= 250000));
        HOLDS(spool.head_bytes + spool.tail_bytes <= MIN(cap, 250000));
        check(spool.head_bytes, spool.tail_bytes, spool.stored < spool.total ? spool.stored : -1);
        whole += had_all;
        cut += !had_all && spool.stored > 0;
        spool_done(&spool);
        HOLDS(spool_host_stored(small) == 0);
        spool_host_free(small);
    }
    ck_assert_int_gt(MIN(whole, cut), 2);
    spool_init(&spool, host, 0, 0, -1);
}
END_TEST

START_TEST(gaps_that_touch_are_one) {
    int64_t gaps[2][2];
    spool_init(&spool, host, 100, 0, 300);
    spool_widen(&spool, 4096);
    put(1000, INT64_MAX);
    ck_assert_int_eq(spool.stored, 300);
    ck_assert_int_eq(spool_gaps(&spool, gaps), 1);
    ck_assert_int_eq(gaps[0][0], 100);
    ck_assert_int_eq(gaps[0][1], 1000);
}
END_TEST

START_TEST(a_sealed_log_takes_what_it_keeps) {
    static const size_t sizes[] = {1, 4096, 4097, 70000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        spool_init(&spool, host, 100000, 0, -1);
        put(sizes[i], INT64_MAX);
        spool_seal(&spool);
        spool_shrink(&spool);
        ck_assert_int_eq(spool_taken(&spool), (int64_t)sizes[i]);
        ck_assert_int_eq(spool_host_stored(host), (int64_t)sizes[i]);
        ck_assert_int_eq(spool.file == 0, sizes[i] <= 4096); // a short one has left its file
        check(100000, 0, -1);
        spool_done(&spool);
    }
}
END_TEST

START_TEST(an_empty_stream_has_no_file) {
    size_t room;
    spool_init(&spool, host, 1000, 1000, -1);
    ck_assert_ptr_nonnull(spool_room(&spool, 4096, INT64_MAX, &room));
    ck_assert_uint_gt(room, 0);
    ck_assert_uint_eq(spool.file, 0);
    ck_assert_int_eq(spool_taken(&spool), 0);
}
END_TEST

START_TEST(what_is_held_is_not_overwritten) {
    spool_init(&spool, host, 100, 200, -1);
    put(1000, 0);
    ck_assert_int_eq(spool.total, 300);
    put(1000, 150);
    ck_assert_int_eq(spool.total, 350);
    put(1000, 350);
    ck_assert_int_eq(spool.total, 550);
    put(50, INT64_MAX);
    ck_assert_int_eq(spool.total, 600);
    check(100, 200, -1);
}
END_TEST

START_TEST(a_wider_ring_shows_the_budget_once_it_is_sealed) {
    spool_init(&spool, host, 0, 0, -1);
    spool_widen(&spool, 4096);
    put(3000, 0);
    char got[16];
    ck_assert_uint_eq(spool_read(&spool, 0, got, sizeof(got)), sizeof(got));
    spool_seal(&spool);
    spool_shrink(&spool);
    ck_assert_uint_eq(spool_read(&spool, 0, got, sizeof(got)), 0);
    ck_assert_int_eq(spool_skip_gap(&spool, 0), 3000);
}
END_TEST

START_TEST(the_cap_of_all_is_a_gap) {
    static struct spool others[2];
    for (int i = 0; i < 2; i++) {
        size_t room;
        spool_init(&others[i], host, 4 << 20, 0, -1);
        while (others[i].stored == others[i].total && others[i].total < 4 << 20) {
            spool_room(&others[i], 65536, INT64_MAX, &room);
            spool_commit(&others[i], room);
        }
    }
    spool_init(&spool, host, 1000, 1000, -1);
    put(500, INT64_MAX);
    int64_t gaps[2][2];
    ck_assert_int_eq(spool.total, 500);
    ck_assert_int_eq(spool_gaps(&spool, gaps), 1);
    ck_assert_int_eq(gaps[0][0], 0);
    ck_assert_int_eq(gaps[0][1], 500);
    ck_assert_int_le(spool_host_stored(host), 8 << 20);
    for (int i = 0; i < 2; i++)
        spool_done(&others[i]);
}
END_TEST

START_TEST(what_is_captured_is_counted) {
    int64_t before = spool_host_captured(host);
    spool_init(&spool, host, 10, 0, -1);
    put(5000, INT64_MAX);
    ck_assert_int_eq(spool_host_captured(host) - before, 5000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("spool");
    TCase *group = suite_case(suite, "log", setup, teardown);
    tcase_add_test(group, random_writes_match_the_model);
    tcase_add_test(group, an_empty_stream_has_no_file);
    tcase_add_test(group, what_is_held_is_not_overwritten);
    tcase_add_test(group, a_wider_ring_shows_the_budget_once_it_is_sealed);
    tcase_add_test(group, the_cap_of_all_is_a_gap);
    tcase_add_test(group, what_is_captured_is_counted);
    tcase_add_test(group, a_follower_that_holds_loses_nothing);
    tcase_add_test(group, a_log_that_may_not_grow_keeps_what_it_has);
    tcase_add_test(group, a_sealed_log_takes_what_it_keeps);
    tcase_add_test(group, gaps_that_touch_are_one);
    return suite_run(suite);
}
