// The orders of one owner's jobs: they have so many bytes together, in memory and of what is kept, until the jobs are gone.
#include "common/util.h"
#include "daemon/runner/keeping.h"
#include "tests/unit/suite.h"

enum {
    JOBS = OWNER_ORDER_BYTES / (ORDER_MAX * (int)sizeof(struct order_run)) + 20,
    OWN = 1000,
    ANN = 2000,
    BOB = 3000
};

static struct kept kept;
static struct runner runner;
static struct job jobs[JOBS];

static void setup(void) {
    ck_assert_int_eq(kept_new(&kept), 0);
    ck_assert_int_eq(kept_begin(&kept), 0);
    runner = (struct runner){.parts = {.kept = &kept, .owners = owners_new(OWN, &(struct owner_limits){0})}};
}

static void teardown(void) {
    kept_end(&kept);
    owners_free(runner.parts.owners, claimant_release);
}

// So many bytes come from its streams by turns, all at once.
static void print(struct run *run, int count) {
    for (int i = 0; i < count; i++) {
        order_add(&run->order, i % 2, i / 2, 1, run_order_most(run));
        run_keep_order(run);
    }
}

static struct run *job_begin(struct job *job, uid_t uid) {
    *job = (struct job){.account = owner_get(runner.parts.owners, uid)};
    struct run *run = run_new(&runner, job);
    ck_assert_ptr_nonnull(run);
    run->kept = kept_take(&kept, KEPT_JOB, job - jobs + 1);
    ck_assert_ptr_nonnull(run->kept);
    job->run = run;
    return run;
}

static void job_end(struct job *job) {
    run_keep_end(job->run);
    run_free(job->run);
    owner_release(runner.parts.owners, job->account);
}

START_TEST(one_owners_orders_have_a_bound) {
    int64_t there = 0, stored = 0;
    for (int i = 0; i < JOBS; i++) {
        struct run *run = job_begin(&jobs[i], ANN);
        print(run, ORDER_MAX);
        ck_assert(i > JOBS / 2 || run->order.count == ORDER_MAX);
    }
    for (int i = 0; i < JOBS; i++) {
        there += (int64_t)(run_of(&jobs[i])->order.capacity * sizeof(struct order_run));
        stored += run_of(&jobs[i])->kept->order.size;
    }
    ck_assert_int_le(there, OWNER_ORDER_BYTES);
    ck_assert_int_le(stored, OWNER_ORDER_BYTES);
    ck_assert_int_eq(jobs[0].account->order_bytes, there);
    ck_assert(run_of(&jobs[JOBS - 1])->order.full && run_of(&jobs[JOBS - 1])->kept->order_full);
    for (int i = 0; i < JOBS - 1; i++)
        job_end(&jobs[i]);
    const struct owner *owner = jobs[JOBS - 1].account;
    ck_assert_int_eq(owner->order_bytes, run_of(&jobs[JOBS - 1])->order.capacity * sizeof(struct order_run));
    job_end(&jobs[JOBS - 1]);
}
END_TEST

START_TEST(nobody_else_notices) {
    struct run *anns = job_begin(&jobs[0], ANN), *bobs = job_begin(&jobs[1], BOB), *own = job_begin(&jobs[2], OWN);
    print(anns, 4);
    jobs[0].account->order_bytes += OWNER_ORDER_BYTES;
    jobs[2].account->order_bytes += OWNER_ORDER_BYTES; // whose the daemon is has no bound
    print(anns, ORDER_MAX);
    print(bobs, ORDER_MAX);
    print(own, ORDER_MAX);
    ck_assert_uint_eq(anns->order.capacity, 4);
    ck_assert_uint_eq(bobs->order.count, ORDER_MAX);
    ck_assert_uint_eq(own->order.count, ORDER_MAX);
    jobs[0].account->order_bytes -= OWNER_ORDER_BYTES;
    jobs[2].account->order_bytes -= OWNER_ORDER_BYTES;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_gt(jobs[i].account->order_bytes, 0);
        owner_hold(jobs[i].account);
        job_end(&jobs[i]);
        ck_assert_int_eq(jobs[i].account->order_bytes, 0);
        owner_release(runner.parts.owners, jobs[i].account);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/orders");
    TCase *group = suite_case(suite, "orders", setup, teardown);
    tcase_add_test(group, one_owners_orders_have_a_bound);
    tcase_add_test(group, nobody_else_notices);
    return suite_run(suite);
}
