// Other labels for a job: they are kept for the next worker, on its owner's account, or nothing changes.
#include "common/util.h"
#include "daemon/control/keeping.h"
#include "daemon/runner/keeping.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/suite.h"

#define SPEC "{\"argv\":[\"true\"],\"labels\":{\"a\":\"1\"}}"

static struct sample sample;
static struct kept kept;
static struct runner runner;
static struct job *job;
static const char *limit;

static int label(const char *value) {
    json_t *params = json_pack("{s:{s:s}}", "labels", "a", value);
    int r = keep_labels(&sample.control, job, params, &limit);
    json_decref(params);
    return r;
}

static void setup(void) {
    sample_open(&sample);
    ck_assert_int_eq(kept_new(&kept), 0);
    ck_assert_int_eq(kept_begin(&kept), 0);
    owners_set_limits(sample.control.owners, &(struct owner_limits){.queued_bytes = 100});
    runner = (struct runner){.parts = {.kept = &kept, .owners = sample.control.owners}};
    sample.control.runner = &runner;
    job = sample_job(&sample, 2000, NULL, 0, 0);
    run_of(job)->runner = &runner;
    run_of(job)->kept = kept_take(&kept, KEPT_JOB, job->id);
    ck_assert_int_eq(kept_blob_put(&kept, &run_of(job)->kept->spec, SPEC, strlen(SPEC)), 0);
    run_account(run_of(job), (int64_t)strlen(SPEC), 0);
    limit = NULL;
    ck_assert_int_eq(label("1"), 0);
}

static void teardown(void) {
    sample_close(&sample);
    kept_end(&kept);
}

static void holds(const char *value) {
    ck_assert_str_eq(spec_label(&job->spec, "a"), value);
    size_t size;
    const char *text = runner_kept_spec(&runner, job, &size);
    json_t *spec = json_loadb(text, size, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(spec, "labels"), "a")), value);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(spec, "argv"), 0)), "true");
    json_decref(spec);
}

START_TEST(the_account_is_what_is_kept) {
    const struct owner *owner = job->account;
    ck_assert_int_eq(owner->queued_bytes, strlen(SPEC));
    ck_assert_int_eq(label("1234567890"), 0);
    holds("1234567890");
    ck_assert_int_eq(owner->queued_bytes, strlen(SPEC) + 9);
    ck_assert_int_eq(label(""), 0);
    holds("");
    ck_assert_int_eq(owner->queued_bytes, strlen(SPEC) - 1);
    run_account_end(run_of(job));
    ck_assert_int_eq(owner->queued_bytes, 0);
}
END_TEST

START_TEST(an_owner_at_their_share_changes_nothing) {
    char large[100];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = 0;
    ck_assert_int_eq(label(large), -EUSERS);
    ck_assert_str_eq(limit, "owner_queued_bytes");
    holds("1");
    ck_assert_int_eq(job->account->queued_bytes, strlen(SPEC));
    owners_set_limits(sample.control.owners, &(struct owner_limits){.queued_bytes = 1});
    ck_assert_int_eq(label("2"), 0); // no more than it had
    holds("2");
}
END_TEST

START_TEST(where_nothing_more_can_be_kept_nothing_changes) {
    struct kept_blob rest = {.block = 1 << 10, .size = (256 << 20) - (256 << 10)}, first = {.size = 256 << 10};
    kept_blob_claim(&kept, &first);
    kept_blob_claim(&kept, &rest);
    ck_assert_int_eq(label("2"), -EUSERS);
    ck_assert_str_eq(limit, "records");
    holds("1");
    ck_assert_int_eq(job->account->queued_bytes, strlen(SPEC));
}
END_TEST

START_TEST(a_final_job_is_on_no_account) {
    run_account_end(run_of(job));
    sample_end(&sample, job, REASON_EXITED);
    ck_assert_int_eq(label("1234567890"), 0);
    holds("1234567890");
    ck_assert_int_eq(job->account->queued_bytes, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/labels");
    TCase *group = suite_case(suite, "labels", setup, teardown);
    tcase_add_test(group, the_account_is_what_is_kept);
    tcase_add_test(group, an_owner_at_their_share_changes_nothing);
    tcase_add_test(group, where_nothing_more_can_be_kept_nothing_changes);
    tcase_add_test(group, a_final_job_is_on_no_account);
    return suite_run(suite);
}
