// order: the sequence in which two streams were read.
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "daemon/store/order.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/suite.h"

static struct order order;

static void setup(void) {
    order = (struct order){0};
}

static void teardown(void) {
    order_done(&order);
}

// Walks from the start and writes "s:end" for each piece, neighbours of one stream put together.
static void walk(int64_t out, int64_t err, char *text, size_t size) {
    int64_t next[2] = {0, 0}, total[2] = {out, err}, end;
    size_t hint = 0;
    int stream;
    double at;
    text[0] = 0;
    while (order_next(&order, next, total, &hint, &stream, &end, &at)) {
        ck_assert_int_gt(end, next[stream]);
        ck_assert_int_le(end, total[stream]);
        size_t length = strlen(text);
        snprintf(text + length, size - length, "%d:%ld ", stream, (long)end);
        next[stream] = end;
    }
    ck_assert_int_eq(next[0], out);
    ck_assert_int_eq(next[1], err);
}

START_TEST(pieces_come_in_the_order_read) {
    char text[256];
    order_add(&order, 0, 0, 1, ORDER_MAX);
    order_add(&order, 1, 0, 1.1, ORDER_MAX);
    order_add(&order, 0, 10, 1.2, ORDER_MAX);
    order_add(&order, 1, 5, 1.3, ORDER_MAX);
    walk(30, 8, text, sizeof(text));
    ck_assert_str_eq(text, "0:10 1:5 0:30 1:8 ");
}
END_TEST

START_TEST(one_stream_is_one_run) {
    char text[64];
    for (int64_t i = 0; i < 1000; i++)
        order_add(&order, 0, i * 10, 1, ORDER_MAX);
    ck_assert_uint_eq(order.count, 1);
    walk(10000, 0, text, sizeof(text));
    ck_assert_str_eq(text, "0:10000 ");
}
END_TEST

START_TEST(times_are_those_of_the_run) {
    int64_t next[2] = {0, 0}, total[2] = {20, 5}, end;
    size_t hint = 0;
    int stream;
    double at;
    order_add(&order, 0, 0, 100, ORDER_MAX);
    order_add(&order, 1, 0, 200, ORDER_MAX);
    ck_assert(order_next(&order, next, total, &hint, &stream, &end, &at));
    ck_assert_double_eq(at, 100);
    next[0] = end;
    ck_assert(order_next(&order, next, total, &hint, &stream, &end, &at));
    ck_assert_double_eq(at, 200);
}
END_TEST

START_TEST(more_switches_than_are_kept_lose_order_not_bytes) {
    static char text[1 << 20];
    for (int i = 0; i < 3 * ORDER_MAX; i++)
        order_add(&order, i % 2, i / 2, 1, ORDER_MAX);
    ck_assert_uint_le(order.count, ORDER_MAX);
    walk(3 * ORDER_MAX / 2, 3 * ORDER_MAX / 2, text, sizeof(text));
}
END_TEST

START_TEST(a_walk_can_begin_anywhere) {
    for (int i = 0; i < 100; i++)
        order_add(&order, i % 2, (int64_t)(i / 2) * 10, 1, ORDER_MAX);
    int64_t next[2] = {255, 400}, total[2] = {500, 500}, end;
    size_t hint = 0;
    int stream;
    double at;
    int64_t seen = 0;
    while (order_next(&order, next, total, &hint, &stream, &end, &at)) {
        seen += end - next[stream];
        next[stream] = end;
    }
    ck_assert_int_eq(seen, 245 + 100);
}
END_TEST

// Two streams read byte by byte, each byte's turn noted: the pieces show them in the same turns.
START_TEST(random_reads_match_the_model) {
    enum { PIECES = 400 };
    unsigned seed = 3;
    for (int round = 0; round < 200; round++) {
        static int turn[PIECES * 8]; // whose the n-th byte was
        int64_t total[2] = {0, 0}, next[2] = {0, 0}, end, bytes = 0;
        int stream, pieces = rand_r(&seed) % PIECES;
        double now = 1000, at;
        for (int i = 0; i < pieces; i++) {
            stream = rand_r(&seed) % 2;
            order_add(&order, stream, total[stream], now, ORDER_MAX);
            for (int n = 1 + rand_r(&seed) % 8; n > 0; n--, total[stream]++)
                turn[bytes++] = stream;
            now += (rand_r(&seed) % 100) / 50.0;
        }
        size_t hint = 0;
        int64_t shown = 0;
        double before = 0;
        while (order_next(&order, next, total, &hint, &stream, &end, &at)) {
            HOLDS(end > next[stream] && end <= total[stream]);
            HOLDS(at >= before && at <= now);
            before = at;
            for (; next[stream] < end; next[stream]++, shown++)
                HOLDS(shown < bytes && turn[shown] == stream);
        }
        ck_assert_int_eq(shown, bytes);
        order_done(&order);
    }
}
END_TEST

START_TEST(a_long_run_is_cut_every_millisecond) {
    order_add(&order, 0, 0, 10, ORDER_MAX);
    order_add(&order, 0, 5, 10.0005, ORDER_MAX);
    ck_assert_uint_eq(order.count, 1);
    order_add(&order, 0, 9, 10.0015, ORDER_MAX);
    ck_assert_uint_eq(order.count, 2);
    ck_assert_int_eq(order.runs[1].start, 9);
}
END_TEST

// The time that a byte of stdout is said to have been read at.
static double time_of(int64_t offset, int64_t total) {
    int64_t next[2] = {offset, 0}, totals[2] = {total, 0}, end;
    size_t hint = 0;
    int stream;
    double at;
    ck_assert(order_next(&order, next, totals, &hint, &stream, &end, &at));
    return at;
}

// A line a second for a week: what was read lately has its own time, and older ones are off by a small part of their age.
START_TEST(a_week_of_one_stream_has_its_times) {
    enum { WEEK = 7 * 86400 };
    for (int i = 0; i < WEEK; i++)
        order_add(&order, 0, i, i, ORDER_MAX);
    ck_assert_uint_le(order.count, ORDER_MAX / 2);
    for (int i = 0; i < WEEK; i += i < WEEK - 5000 ? 17 : 1) {
        double at = time_of(i, WEEK);
        HOLDS(at <= i && i - at <= (WEEK - i) / 16.0);
        HOLDS(at == i || WEEK - i > 32);
    }
    size_t before = order.count;
    order_add(&order, 1, 0, WEEK, ORDER_MAX);
    ck_assert_uint_eq(order.count, before + 1);
    ck_assert(!order.full);
}
END_TEST

// Times that go back, as the clock may, cost precision and nothing else.
START_TEST(a_clock_that_is_set_back_loses_nothing) {
    char text[64];
    for (int i = 0; i < 10 * ORDER_MAX; i++)
        order_add(&order, 0, i, 1e6 - (i % 5000) * 10, ORDER_MAX);
    ck_assert_uint_le(order.count, ORDER_MAX);
    walk(10L * ORDER_MAX, 0, text, sizeof(text));
}
END_TEST

// Far more switches than there is room for: the latest are in the very order in which they were read.
START_TEST(the_latest_switches_are_in_order) {
    enum { COUNT = 50 * ORDER_MAX, LATEST = 100 };
    for (int i = 0; i < COUNT; i++)
        order_add(&order, i % 2, i / 2, i, ORDER_MAX);
    ck_assert_uint_le(order.count, ORDER_MAX);
    ck_assert(!order.full);
    int64_t next[2] = {(COUNT - LATEST) / 2, (COUNT - LATEST) / 2}, total[2] = {COUNT / 2, COUNT / 2}, end;
    size_t hint = 0;
    int stream;
    double at;
    for (int i = COUNT - LATEST; i < COUNT; i++) {
        ck_assert(order_next(&order, next, total, &hint, &stream, &end, &at));
        ck_assert_int_eq(stream, i % 2);
        ck_assert_double_eq(at, i);
        next[stream] = end;
    }
    ck_assert(!order_next(&order, next, total, &hint, &stream, &end, &at));
}
END_TEST

// Whoever is in the middle of it while room is made is shown all, once.
START_TEST(a_walk_goes_on_over_runs_that_have_gone) {
    int64_t next[2] = {0, 0}, total[2] = {0, 0}, end;
    size_t hint = 0;
    unsigned seed = 5;
    for (int i = 0; i < 20 * ORDER_MAX; i++) {
        int stream = rand_r(&seed) % 3 == 0, shown;
        double at;
        order_add(&order, stream, total[stream], 1 + i * 0.01, ORDER_MAX);
        total[stream] += 1 + rand_r(&seed) % 9;
        while (rand_r(&seed) % 3 && order_next(&order, next, total, &hint, &shown, &end, &at)) {
            HOLDS(end > next[shown] && end <= total[shown] && at > 0);
            next[shown] = end;
        }
    }
    ck_assert_uint_gt(order.removed, 0);
    int stream;
    double at;
    while (order_next(&order, next, total, &hint, &stream, &end, &at))
        next[stream] = end;
    ck_assert_int_eq(next[0], total[0]);
    ck_assert_int_eq(next[1], total[1]);
}
END_TEST

// Where it may not have more room, older runs are joined sooner.
START_TEST(less_room_is_room_all_the_same) {
    enum { LESS = ORDER_MAX / 4 };
    int64_t total[2] = {0, 0}, next[2] = {0, 0}, end;
    size_t hint = 0;
    int stream;
    double at, before = 0;
    for (int i = 0; i < 10 * LESS; i++)
        order_add(&order, i % 2, total[i % 2]++, 1 + i * 0.001, i < LESS / 3 ? ORDER_MAX : LESS);
    ck_assert_uint_le(order.capacity, LESS);
    ck_assert(!order.full);
    while (order_next(&order, next, total, &hint, &stream, &end, &at)) {
        HOLDS(at > before);
        before = at;
        next[stream] = end;
    }
    ck_assert_int_eq(next[0] + next[1], total[0] + total[1]);
}
END_TEST

START_TEST(no_room_is_no_order) {
    char text[64];
    order_add(&order, 0, 0, 1, 0);
    order_add(&order, 1, 0, 2, ORDER_MAX);
    ck_assert(order.full);
    ck_assert_uint_eq(order.capacity, 0);
    walk(10, 5, text, sizeof(text));
    ck_assert_str_eq(text, "0:10 1:5 ");
}
END_TEST

// Of the worker before, more than half of all that there may be.
START_TEST(what_was_kept_has_room_for_more) {
    static struct order_run runs[ORDER_MAX * 3 / 4];
    for (int i = 0; i < (int)ARRAY_SIZE(runs); i++)
        runs[i] = (struct order_run){.start = i / 2, .at = 1, .stream = i % 2};
    ck_assert_int_eq(order_load(&order, runs, ARRAY_SIZE(runs), false), 0);
    order_add(&order, 0, 1 << 20, 2, ORDER_MAX);
    ck_assert_uint_eq(order.count, ARRAY_SIZE(runs) + 1);
    ck_assert(!order.full);
}
END_TEST

// Of what was kept, all from the first run on that is none is in no known order.
START_TEST(what_is_no_run_ends_the_order) {
    static const struct order_run wrong[] = {{.start = 4, .at = 2, .stream = 2},
                                             {.start = 4, .at = 2, .stream = -1},
                                             {.start = -4, .at = 2, .stream = 1},
                                             {.start = 4, .at = 1e300, .stream = 1},
                                             {.start = 4, .at = -1, .stream = 1}};
    const struct order_run runs[] = {{.start = 0, .at = 1, .stream = 0}, wrong[_i], {.start = 4, .at = 3, .stream = 0}};
    ck_assert_int_eq(order_load(&order, runs, ARRAY_SIZE(runs), false), 0);
    ck_assert_uint_eq(order.count, 1);
    ck_assert(order.full);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("order");
    TCase *group = suite_case(suite, "order", setup, teardown);
    tcase_add_test(group, pieces_come_in_the_order_read);
    tcase_add_test(group, one_stream_is_one_run);
    tcase_add_test(group, times_are_those_of_the_run);
    tcase_add_test(group, more_switches_than_are_kept_lose_order_not_bytes);
    tcase_add_test(group, a_walk_can_begin_anywhere);
    tcase_add_test(group, random_reads_match_the_model);
    tcase_add_test(group, a_long_run_is_cut_every_millisecond);
    tcase_add_test(group, a_week_of_one_stream_has_its_times);
    tcase_add_test(group, a_clock_that_is_set_back_loses_nothing);
    tcase_add_test(group, the_latest_switches_are_in_order);
    tcase_add_test(group, a_walk_goes_on_over_runs_that_have_gone);
    tcase_add_test(group, less_room_is_room_all_the_same);
    tcase_add_test(group, no_room_is_no_order);
    tcase_add_test(group, what_was_kept_has_room_for_more);
    tcase_add_loop_test(group, what_is_no_run_ends_the_order, 0, 5);
    return suite_run(suite);
}
