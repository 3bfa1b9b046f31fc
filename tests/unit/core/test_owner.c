// owner: who is remembered, and whose share has an end.
#include "common/util.h"
#include "daemon/core/owner.h"
#include "daemon/store/holders.h"
#include "tests/unit/suite.h"

static const struct owner_limits limits = {.live_jobs = 2, .output_bytes = 100};
static struct owners *owners;
static int released;

static void on_release(struct claimant *claimant) {
    released += claimant != NULL;
}

static void setup(void) {
    owners = owners_new(500, &limits);
    ck_assert_ptr_nonnull(owners);
    released = 0;
}

static void teardown(void) {
    owners_free(owners, on_release);
}

START_TEST(one_who_was_never_served_is_forgotten) {
    struct owner *ann = owner_get(owners, 1000);
    ck_assert_ptr_eq(owner_get(owners, 1000), ann);
    owner_release(owners, ann);
    ck_assert_ptr_eq(owner_find(owners, 1000), ann);
    owner_release(owners, ann);
    ck_assert_ptr_null(owner_find(owners, 1000));
    struct owner *bob = owner_get(owners, 1001);
    bob->accepted = 1;
    owner_release(owners, bob);
    ck_assert_ptr_eq(owner_find(owners, 1001), bob);
    owner_release(owners, NULL);
}
END_TEST

START_TEST(root_and_the_daemons_own_have_no_share) {
    struct owner *root = owner_get(owners, 0), *own = owner_get(owners, 500), *ann = owner_get(owners, 1000);
    ck_assert(owner_may(root, 1000, 1, limits.live_jobs));
    ck_assert(owner_may(own, 1000, 1, limits.live_jobs));
    ck_assert_ptr_null(own->output.limit);
    ck_assert(owner_may(ann, 1, 1, limits.live_jobs));
    ck_assert(!owner_may(ann, 2, 1, limits.live_jobs));
    ck_assert(owner_may(ann, 2, 0, limits.live_jobs));
    ck_assert(!owner_may(ann, 0, INT64_MAX, limits.live_jobs));
    ck_assert_int_eq(*ann->output.limit, 100);
    owners_set_limits(owners, &(struct owner_limits){.output_bytes = 7});
    ck_assert_int_eq(*ann->output.limit, 7); // whoever is there already has the new one
    owner_release(owners, root);
    owner_release(owners, own);
    owner_release(owners, ann);
}
END_TEST

START_TEST(names_are_the_last_that_was_told) {
    struct owner *root = owner_get(owners, 0), *ann = owner_get(owners, 1000);
    ck_assert_str_eq(root->name, "root");
    ck_assert_ptr_null(ann->name);
    owner_set_name(ann, "ann");
    owner_set_name(ann, NULL);
    ck_assert_str_eq(ann->name, "ann");
    owner_set_name(ann, "anna");
    ck_assert_str_eq(ann->name, "anna");
    owner_release(owners, root);
    owner_release(owners, ann);
}
END_TEST

START_TEST(what_they_wait_in_line_with_is_let_go) {
    struct owner *ann = owner_get(owners, 1000);
    int thing;
    ann->claimant = (struct claimant *)(void *)&thing;
    owner_release(owners, ann);
    ck_assert_ptr_eq(owner_find(owners, 1000), ann);
    teardown();
    ck_assert_int_eq(released, 1);
    setup();
}
END_TEST

START_TEST(holders_are_found_by_what_they_have) {
    struct holders holders = {0};
    struct owner *ann = owner_get(owners, 1000);
    holders_add(&holders, 0, 100, 1);
    holders_add(&holders, 500, 90, 1000);
    holders_add(&holders, 1000, 5, 50);
    holders_add(&holders, 1001, 2, 60);
    ck_assert_ptr_null(holders_over(&holders, owners, 500, 5, 60));
    ck_assert_uint_eq(holders_over(&holders, owners, 500, 4, 60)->uid, 1000);
    ck_assert_uint_eq(holders_over(&holders, owners, 500, 5, 59)->uid, 1001);
    ann->output.used = 10; // what is left of such as have gone
    ck_assert_ptr_null(holders_over(&holders, owners, 500, 5, 60));
    ann->output.used = 11;
    ck_assert_uint_eq(holders_over(&holders, owners, 500, 5, 60)->uid, 1000);
    ann->output.used = 0;
    owner_release(owners, ann);
    ck_assert_uint_eq(holders_largest(&holders, false)->uid, 0);
    ck_assert_uint_eq(holders_largest(&holders, true)->uid, 500);
    holders_add(&holders, 500, -90, -1000);
    ck_assert_uint_eq(holders_largest(&holders, true)->uid, 1001);
    holders_done(&holders);
    ck_assert_ptr_null(holders_largest(&holders, true));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("core/owner");
    TCase *group = suite_case(suite, "owner", setup, teardown);
    tcase_add_test(group, one_who_was_never_served_is_forgotten);
    tcase_add_test(group, root_and_the_daemons_own_have_no_share);
    tcase_add_test(group, names_are_the_last_that_was_told);
    tcase_add_test(group, what_they_wait_in_line_with_is_let_go);
    tcase_add_test(group, holders_are_found_by_what_they_have);
    return suite_run(suite);
}
