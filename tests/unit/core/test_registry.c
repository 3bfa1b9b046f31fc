// registry: jobs by id, name, key and state.
#include <string.h>

#include "common/util.h"
#include "daemon/core/registry.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/suite.h"

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

static bool known[JOBS]; // the model: which of the jobs are in the registry

static void setup_again(void) {
    memset(known, 0, sizeof(known));
    used = 0;
}

// The newest known job of a name or a key, live ones first where a name is asked for; `live`: only a live one.
static struct job *model_find(uid_t owner, const char *name, const char *key, bool live) {
    struct job *final = NULL;
    for (size_t i = used; i-- > 0;) {
        const char *has = name ? jobs[i].spec.name : jobs[i].spec.key;
        if (!known[i] || jobs[i].owner != owner || !has || !streq(has, name ? name : key))
            continue;
        if (!job_is_final(&jobs[i]))
            return &jobs[i];
        final = final ? final : &jobs[i];
    }
    return live ? NULL : final;
}

static void model_check(void) {
    size_t count = 0, final = 0;
    struct job *job = registry_newest(registry);
    for (size_t i = used; i-- > 0;) {
        HOLDS(registry_find(registry, jobs[i].id) == (known[i] ? &jobs[i] : NULL));
        if (!known[i])
            continue;
        HOLDS(job == &jobs[i]); // newest first
        job = job->older;
        count++;
        final += job_is_final(&jobs[i]);
    }
    HOLDS(!job);
    HOLDS(registry_count(registry) == count && registry_final_count(registry) == final);
    HOLDS((registry_oldest_final(registry) != NULL) == (final > 0));
    static const char *const texts[] = {"a", "b", "c"};
    for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
        for (uid_t owner = 0; owner < 2; owner++) {
            HOLDS(registry_find_name(registry, owner, texts[t]) == model_find(owner, texts[t], NULL, false));
            HOLDS(registry_find_key(registry, owner, texts[t]) == model_find(owner, NULL, texts[t], false));
        }
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

START_TEST(a_refused_job_leaves_no_trace) {
    struct job *a = add("web", "k", 1);
    struct job *b = make("mail", "k", 1); // its name is free, its key is not
    ck_assert_int_eq(registry_add(registry, b), -EEXIST);
    ck_assert_ptr_null(registry_find_name(registry, 1, "mail"));
    b = make("web", "l", 1);
    ck_assert_int_eq(registry_add(registry, b), -EEXIST);
    ck_assert_ptr_null(registry_find_key(registry, 1, "l"));
    ck_assert_ptr_eq(registry_find_key(registry, 1, "k"), a);
    ck_assert_uint_eq(registry_count(registry), 1);
    ck_assert_int_eq(add("mail", "l", 1)->id, 11); // nor has it used up an id
}
END_TEST

START_TEST(a_page_can_be_of_states_and_labels) {
    struct spec_pair label = {(char[]){"team"}, (char[]){"a"}}, other = {(char[]){"team"}, (char[]){"b"}};
    for (int i = 0; i < 9; i++) {
        struct job *job = add(NULL, NULL, 1);
        job->spec.labels = calloc(1, sizeof(*job->spec.labels));
        job->spec.label_count = 1;
        job->spec.labels[0] = (struct spec_pair){strdup("team"), strdup(i % 3 ? "a" : "b")};
        if (i < 5)
            finalize(job);
    }
    struct registry_filter filter = {.by_state = true, .states = 1u << JOB_FINAL, .labels = &label, .label_count = 1};
    ck_assert_int_eq(registry_next(registry, &filter)->id, 14);
    filter.before = 14;
    ck_assert_int_eq(registry_next(registry, &filter)->id, 12); // 13 is the other team's
    filter = (struct registry_filter){
        .by_state = true, .states = 1u << JOB_STARTING, .labels = &other, .label_count = 1};
    ck_assert_int_eq(registry_next(registry, &filter)->id, 16);
    filter.before = 16;
    ck_assert_ptr_null(registry_next(registry, &filter));
    filter = (struct registry_filter){.by_state = true, .states = 0};
    ck_assert_ptr_null(registry_next(registry, &filter));
}
END_TEST

START_TEST(a_cursor_whose_job_is_forgotten_goes_on_below_it) {
    for (int i = 0; i < 6; i++)
        add(NULL, NULL, 1);
    registry_remove(registry, &jobs[3]);
    struct registry_filter filter = {.before = jobs[3].id};
    ck_assert_ptr_eq(registry_next(registry, &filter), &jobs[2]);
    filter.before = 10; // the oldest
    ck_assert_ptr_null(registry_next(registry, &filter));
}
END_TEST

// Comes and goes by chance, held against an array.
START_TEST(random_comings_and_goings_match_the_model) {
    static const char *const names[] = {NULL, "a", "b", "c"};
    unsigned seed = 5;
    for (int round = 0; round < 200; round++) {
        setup_again();
        while (used < JOBS) {
            struct job *job = make(names[rand_r(&seed) % 4], names[rand_r(&seed) % 4], (uid_t)(rand_r(&seed) % 2));
            bool free_name = !job->spec.name || !model_find(job->owner, job->spec.name, NULL, true);
            bool free_key = !job->spec.key || !model_find(job->owner, NULL, job->spec.key, false);
            known[used - 1] = free_name && free_key;
            HOLDS(registry_add(registry, job) == (known[used - 1] ? 0 : -EEXIST));
            struct job *some = &jobs[(size_t)rand_r(&seed) % used];
            if (known[some - jobs] && !job_is_final(some) && rand_r(&seed) % 2) {
                finalize(some);
            } else if (known[some - jobs] && job_is_final(some) && rand_r(&seed) % 2) {
                registry_remove(registry, some);
                known[some - jobs] = false;
            }
            model_check();
        }
        teardown();
        setup();
    }
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
    tcase_add_test(group, a_refused_job_leaves_no_trace);
    tcase_add_test(group, a_page_can_be_of_states_and_labels);
    tcase_add_test(group, a_cursor_whose_job_is_forgotten_goes_on_below_it);
    tcase_add_test(group, random_comings_and_goings_match_the_model);
    return suite_run(suite);
}
