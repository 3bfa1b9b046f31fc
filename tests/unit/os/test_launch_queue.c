// launch_queue: whose launch is next, and how many of one may be under way.
#include "common/util.h"
#include "daemon/os/launch_queue.h"
#include "tests/unit/suite.h"

enum { LAUNCHERS = 8, MANY = 16 };

static struct launch_queue queue;
static struct claimant *ann, *bob, *ann_a, *ann_b, *bob_a;
static struct launch launches[MANY];

static void setup(void) {
    launch_queue_init(&queue, LAUNCHERS); // a share of 6, and of 2 for all of one user
    ann = claimant_new(NULL);
    bob = claimant_new(NULL);
    ann_a = claimant_new(ann);
    ann_b = claimant_new(ann);
    bob_a = claimant_new(bob);
    memset(launches, 0, sizeof(launches));
}

static void teardown(void) {
    claimant_release(ann);
    claimant_release(bob);
    claimant_release(ann_a);
    claimant_release(ann_b);
    claimant_release(bob_a);
}

static void add(int i, struct claimant *claimant) {
    launches[i].claimant = claimant;
    launch_queue_add(&queue, &launches[i]);
}

static void begins(int i) {
    struct launch *launch = launch_queue_begin(&queue);
    ck_assert_ptr_eq(launch, i < 0 ? NULL : &launches[i]);
}

START_TEST(users_take_turns) {
    add(0, ann_a);
    add(1, ann_a);
    add(2, ann_b);
    add(3, bob_a);
    ck_assert_uint_eq(ann->queued, 3);
    begins(0);
    begins(3);
    begins(1);
    begins(-1); // ann has her two
    ck_assert_uint_eq(queue.count, 1);
    ck_assert(!launch_queue_wants(&queue, 0));
    launch_queue_end(&launches[0]);
    ck_assert(launch_queue_wants(&queue, 0));
    begins(2);
    begins(-1);
    ck_assert_uint_eq(queue.count, 0);
    ck_assert_uint_eq(ann->queued, 0);
}
END_TEST

START_TEST(one_without_a_parent_has_the_larger_share) {
    struct claimant *only = claimant_new(NULL);
    for (int i = 0; i < LAUNCHERS; i++)
        add(i, only);
    for (int i = 0; i < 6; i++)
        begins(i);
    begins(-1);
    add(LAUNCHERS, NULL); // nobody's are bounded by the launchers alone
    begins(LAUNCHERS);
    launch_queue_remove(&queue, &launches[6]);
    launch_queue_remove(&queue, &launches[7]);
    claimant_release(only);
}
END_TEST

START_TEST(one_taken_back_is_no_more_in_line) {
    add(0, ann_a);
    add(1, bob_a);
    add(2, ann_a);
    launch_queue_remove(&queue, &launches[0]);
    ck_assert_uint_eq(ann_a->queued, 1);
    ck_assert(launch_queue_wants(&queue, 1));
    ck_assert(!launch_queue_wants(&queue, 2));
    begins(2);
    begins(1);
    begins(-1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/launch_queue");
    TCase *group = suite_case(suite, "queue", setup, teardown);
    tcase_add_test(group, users_take_turns);
    tcase_add_test(group, one_without_a_parent_has_the_larger_share);
    tcase_add_test(group, one_taken_back_is_no_more_in_line);
    return suite_run(suite);
}
