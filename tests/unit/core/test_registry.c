// registry: jobs by id, name, key and state.
#include <string.h>

#include "common/util.h"
#include "daemon/core/registry.h"
#include "tests/unit/os/suite.h"

enum { JOBS = 64 };

static struct registry *registry;
static struct job jobs[JOBS];
static size_t used;

static void setup(void) {
    registry = registry_new(10);
    ck_assert_ptr_nonnull(registry);
    used = 0;
}

static void teardown(void) {
    for (size_t i = 0; i < used; i++) {
        if (registry_find(registry, jobs[i].id) == &jobs[i])
            registry_remove(registry, &jobs[i]);
        spec_done(&jobs[i].spec);
    }
    ck_assert_uint_eq(registry_count(registry), 0);
    registry_free(registry);
}

static struct job *make(const char *name, const char *key, uid_t owner) {
    struct job *job = &jobs[used++];
    *job = (struct job){.owner = owner, .outcome = {.reason = REASON_NONE}, .run = job};
    spec_init(&job->spec);
    job->spec.name = name ? strdup(name) : NULL;
    job->spec.key = key ? strdup(key) : NULL;
    return job;
}

static struct job *add(const char *name, const char *key, uid_t owner) {
    struct job *job = make(name, key, owner);
    ck_assert_int_eq(registry_add(registry, job), 0);
    return job;
}

static void finalize(struct job *job) {
    job->outcome.reason = REASON_EXITED;
    job->life.state = LIFE_FINAL;
    registry_finalize(registry, job);
}

START_TEST(ids_rise_and_are_never_used_again) {
    struct job *a = add(NULL, NULL, 1), *b = add(NULL, NULL, 1);
    ck_assert_int_eq(a->id, 10);
    ck_assert_int_eq(b->id, 11);
    registry_remove(registry, b);
    ck_assert_int_eq(add(NULL, NULL, 1)->id, 12);
    ck_assert_ptr_eq(registry_find(registry, 10), a);
    ck_assert_ptr_null(registry_find(registry, 11));
}
END_TEST

START_TEST(a_live_name_is_one_owners_once) {
    struct job *a = add("web", NULL, 1);
    ck_assert_int_eq(registry_add(registry, make("web", NULL, 1)), -EEXIST);
    struct job *other = add("web", NULL, 2);
    ck_assert_ptr_eq(registry_find_name(registry, 1, "web"), a);
    ck_assert_ptr_eq(registry_find_name(registry, 2, "web"), other);
    ck_assert_ptr_null(registry_find_name(registry, 3, "web"));
}
END_TEST

START_TEST(a_name_is_the_live_job_else_the_newest_final_one) {
    struct job *a = add("web", NULL, 1);
    finalize(a);
    struct job *b = add("web", NULL, 1);
    ck_assert_ptr_eq(registry_find_name(registry, 1, "web"), b);
    finalize(b);
    ck_assert_ptr_eq(registry_find_name(registry, 1, "web"), b);
    registry_remove(registry, b);
    ck_assert_ptr_eq(registry_find_name(registry, 1, "web"), a);
    registry_remove(registry, a);
    ck_assert_ptr_null(registry_find_name(registry, 1, "web"));
}
END_TEST

START_TEST(keys_are_an_owners_own_and_outlive_the_end) {
    struct job *a = add(NULL, "k", 1);
    ck_assert_ptr_eq(registry_find_key(registry, 1, "k"), a);
    ck_assert_ptr_null(registry_find_key(registry, 2, "k"));
    finalize(a);
    ck_assert_ptr_eq(registry_find_key(registry, 1, "k"), a);
    registry_remove(registry, a);
    ck_assert_ptr_null(registry_find_key(registry, 1, "k"));
}
END_TEST

START_TEST(the_first_to_end_is_the_first_to_forget) {
    struct job *a = add(NULL, NULL, 1), *b = add(NULL, NULL, 1), *c = add(NULL, NULL, 1);
    ck_assert_ptr_null(registry_oldest_final(registry));
    finalize(b);
    finalize(a);
    ck_assert_ptr_eq(registry_oldest_final(registry), b);
    registry_remove(registry, b);
    ck_assert_ptr_eq(registry_oldest_final(registry), a);
    ck_assert_uint_eq(registry_final_count(registry), 1);
    ck_assert_uint_eq(registry_count(registry), 2);
    ck_assert_ptr_eq(registry_newest(registry), c);
}
END_TEST

START_TEST(pages_are_newest_first_and_filtered) {
    for (int i = 0; i < 20; i++)
        add(i % 2 ? "odd" : NULL, NULL, (uid_t)i);
    struct registry_filter filter = {.name = "odd"};
    int64_t last = INT64_MAX;
    int seen = 0;
    for (struct job *job; (job = registry_next(registry, &filter)); seen++) {
        ck_assert_int_lt(job->id, last);
        ck_assert_str_eq(job->spec.name, "odd");
        last = filter.before = job->id;
    }
    ck_assert_int_eq(seen, 10);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("registry");
    TCase *group = suite_case(suite, "jobs", setup, teardown);
    tcase_add_test(group, ids_rise_and_are_never_used_again);
    tcase_add_test(group, a_live_name_is_one_owners_once);
    tcase_add_test(group, a_name_is_the_live_job_else_the_newest_final_one);
    tcase_add_test(group, keys_are_an_owners_own_and_outlive_the_end);
    tcase_add_test(group, the_first_to_end_is_the_first_to_forget);
    tcase_add_test(group, pages_are_newest_first_and_filtered);
    return suite_run(suite);
}
