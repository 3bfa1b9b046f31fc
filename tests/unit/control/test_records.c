// records: a job for which there is none is not taken, and the limit is named.
#include "common/util.h"
#include "daemon/os/kept.h"
#include "daemon/runner/runner.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"

static struct sample sample;
static struct rig rig;
static struct kept kept;
static struct runner *runner;
static struct owner *owner;

static void setup(void) {
    static const struct runner_listener nobody;
    sample_open(&sample);
    rig_open(&rig, SPAWN_FAST, TREE_NONE);
    ck_assert_int_eq(kept_new(&kept), 0);
    ck_assert_int_eq(kept_begin(&kept), 0);
    const struct runner_parts parts = {.loop = rig.loop,
                                       .launcher = rig.launcher,
                                       .descriptors = &rig.descriptors,
                                       .trees = rig.host,
                                       .spools = sample.control.spools,
                                       .registry = sample.control.registry,
                                       .kept = &kept,
                                       .owners = sample.control.owners,
                                       .live_max = 10};
    ck_assert_int_eq(runner_new(&parts, &nobody, NULL, &runner), 0);
    owner = owner_get(sample.control.owners, 1000);
}

static void teardown(void) {
    runner_free(runner);
    owner_release(sample.control.owners, owner);
    kept_end(&kept);
    rig_close(&rig);
    sample_close(&sample);
}

// Nothing of it is left, either.
static void refused(const char *text, size_t size) {
    struct start start = {.owner = owner, .fds = {-1, -1, -1}, .spec_text = text, .spec_size = size};
    struct spec spec;
    struct job *job = NULL;
    int64_t taken = rig.descriptors.taken;
    spec_init(&spec);
    ck_assert_int_eq(runner_start(runner, &spec, &start, &job), -EUSERS);
    ck_assert_ptr_nonnull(start.limit);
    ck_assert_str_eq(start.limit, "records");
    ck_assert_ptr_null(job);
    ck_assert_int_eq(rig.descriptors.taken, taken);
    ck_assert_int_eq(owner->live_jobs, 0);
    ck_assert_uint_eq(registry_count(sample.control.registry), 0);
    ck_assert_ptr_null(kept_next(&kept, KEPT_JOB, NULL));
    spec_done(&spec);
}

START_TEST(all_records_are_in_use) {
    kept.head->used[KEPT_JOB] = KEPT_RECORDS;
    refused("{}", 2);
}
END_TEST

START_TEST(a_spec_finds_no_place) {
    refused("{}", UINT32_MAX); // more than there is: nobody looks at it
}
END_TEST

int main(void) {
    Suite *suite = suite_create("records");
    TCase *group = suite_case(suite, "refused", setup, teardown);
    tcase_add_test(group, all_records_are_in_use);
    tcase_add_test(group, a_spec_finds_no_place);
    return suite_run(suite);
}
