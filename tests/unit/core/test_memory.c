// Tests of running out of memory in the core and the store: each allocation in turn fails, until none does.
#include <stdio.h>

#include "common/util.h"
#include "daemon/core/registry.h"
#include "daemon/store/order.h"
#include "daemon/store/spool.h"
#include "tests/unit/failing.h"
#include "tests/unit/suite.h"

static char scratch[65536];

enum { SWEEP_MAX = 10000 };

// Does the step with its first allocation failing, then with its second, until it gets by without a failure. `tells`:
// a failure must show; else the step has to work all the same. It gives back everything that it gets.
static void sweep(bool (*step)(void), bool tells) {
    for (long n = 1; n < SWEEP_MAX; n++) {
        failing_begin(n);
        bool worked = step();
        failing_end();
        ck_assert_msg(failing.outstanding == 0, "allocation %ld failed: %ld are left", n, failing.outstanding);
        ck_assert_msg(worked == !(failing.failed && tells), "allocation %ld %s, the step %s", n,
                      failing.failed ? "failed" : "did not fail", worked ? "worked" : "did not work");
        if (!failing.failed) {
            ck_assert_int_gt(n, 1);
            return;
        }
    }
    ck_abort_msg("allocates without end");
}

// A job with a name and a key comes and goes. What was refused is nowhere to be found.
static bool registry_step(void) {
    struct registry *registry = registry_new(1);
    if (!registry)
        return false;
    struct job job = {.outcome = {.reason = REASON_NONE}, .spec = {.name = (char[]){"web"}, .key = (char[]){"k"}}};
    int r = registry_add(registry, &job);
    bool there = registry_find_name(registry, 0, "web") == &job && registry_find_key(registry, 0, "k") == &job &&
                 registry_find(registry, 1) == &job && registry_count(registry) == 1;
    bool nowhere = !registry_find_name(registry, 0, "web") && !registry_find_key(registry, 0, "k") &&
                   registry_count(registry) == 0;
    bool clean = r == 0 ? there : r == -ENOMEM && nowhere;
    if (r == 0)
        registry_remove(registry, &job);
    registry_free(registry);
    return r == 0 || !clean;
}

START_TEST(registry) {
    sweep(registry_step, true);
}
END_TEST

static char name[40];

static bool host_step(void) {
    struct spool_host *host = NULL;
    int r = spool_host_new(
        &(struct spool_host_parts){.path = "/proc/self", .name = name, .cap = 1 << 20, .scratch = scratch},
        &host); // no tmpfs: the directory is made in /dev/shm
    bool clean = r == 0 ? host != NULL : r == -ENOMEM && !host;
    spool_host_free(host);
    return r == 0 || !clean;
}

static struct spool_host *logs;

// Where a short log can't leave its file it stays there, and nothing of it is lost.
static bool spool_step(void) {
    struct spool spool;
    size_t room;
    char got[8];
    spool_init(&spool, logs, 100, 100, -1);
    memcpy(spool_room(&spool, 5, INT64_MAX, &room), "hello", 5);
    spool_commit(&spool, 5);
    spool_seal(&spool);
    spool_shrink(&spool);
    bool worked = room == 5 && spool_read(&spool, 0, got, sizeof(got)) == 5 && memcmp(got, "hello", 5) == 0 &&
                  spool_host_stored(logs) == spool_taken(&spool) && (spool.file != 0) == failing.failed;
    spool_done(&spool);
    return worked && spool_host_stored(logs) == 0;
}

START_TEST(spool) {
    snprintf(name, sizeof(name), "supd-unit-%d", (int)getpid());
    sweep(host_step, true);
    ck_assert_int_eq(
        spool_host_new(
            &(struct spool_host_parts){.path = "/proc/self", .name = name, .cap = 1 << 20, .scratch = scratch}, &logs),
        0);
    sweep(spool_step, false);
    spool_host_free(logs);
}
END_TEST

// The order may be lost, the bytes are not.
static bool order_step(void) {
    struct order order = {0};
    for (int i = 0; i < 100; i++)
        order_add(&order, i % 2, i / 2, 1, ORDER_MAX);
    int64_t next[2] = {0, 0}, total[2] = {50, 50}, end, shown = 0;
    size_t hint = 0;
    int stream;
    double at;
    while (order_next(&order, next, total, &hint, &stream, &end, &at)) {
        shown += end - next[stream];
        next[stream] = end;
    }
    bool worked = shown == 100 && order.full == failing.failed;
    order_done(&order);
    return worked;
}

START_TEST(order) {
    sweep(order_step, false);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *group = suite_case(suite, "memory", NULL, NULL);
    tcase_add_test(group, registry);
    tcase_add_test(group, spool);
    tcase_add_test(group, order);
    return suite_run(suite);
}
