// target: which jobs a call means, and that a caller finds only what they may see.
#include "daemon/control/target.h"

#include "common/util.h"
#include "daemon/control/session.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/suite.h"

static struct sample sample;
static struct session session;
static struct call call;
static struct job *mine, *others;

static void setup(void) {
    sample_open(&sample);
    mine = sample_job(&sample, 1000, "web", 0, 0);
    others = sample_job(&sample, 2000, "db", 0, 0);
    session = (struct session){.control = &sample.control, .uid = 1000, .owner = mine->account};
    call = (struct call){.session = &session};
}

static void teardown(void) {
    sample_close(&sample);
}

static int one(const char *text, struct job **ret_job) {
    json_t *params = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(params);
    call.refusal = (struct refusal){0};
    int r = target_one(&call, params, ret_job);
    json_decref(params);
    return r;
}

START_TEST(by_id_and_by_name) {
    struct job *job = NULL;
    ck_assert_int_eq(one("{\"id\": 1}", &job), 0);
    ck_assert_ptr_eq(job, mine);
    job = NULL;
    ck_assert_int_eq(one("{\"id\": 1.0}", &job), 0);
    ck_assert_ptr_eq(job, mine);
    job = NULL;
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), 0);
    ck_assert_ptr_eq(job, mine);
}
END_TEST

START_TEST(what_is_not_there_is_named) {
    struct job *job = mine;
    ck_assert_int_eq(one("{\"id\": 99}", &job), -ENOENT);
    ck_assert_int_eq(call.refusal.id, 99);
    ck_assert_ptr_nonnull(strstr(call.refusal.what, "99"));
    ck_assert_int_eq(one("{\"name\": \"mail\"}", &job), -ENOENT);
    ck_assert_str_eq(call.refusal.name, "mail");
    ck_assert_ptr_nonnull(strstr(call.refusal.what, "mail"));
    ck_assert_ptr_eq(job, mine); // written only on success
}
END_TEST

// Told exactly as one that does not exist.
START_TEST(another_owners_job_is_not_found) {
    struct job *job = NULL;
    session.uid = 2000;
    ck_assert_int_eq(one("{\"id\": 1}", &job), -ENOENT);
    ck_assert_ptr_nonnull(strstr(call.refusal.what, "no job 1"));
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), -ENOENT);
    ck_assert_int_eq(one("{\"id\": 2}", &job), 0);
    ck_assert_ptr_eq(job, others);
}
END_TEST

START_TEST(administrators_see_all) {
    struct job *job = NULL;
    session.uid = _i ? 0 : 1000; // root, and the daemon's own user
    ck_assert_int_eq(one("{\"id\": 2}", &job), 0);
    ck_assert_ptr_eq(job, others);
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), 0);
    ck_assert_ptr_eq(job, mine);
}
END_TEST

START_TEST(a_name_means_the_live_job_else_the_newest_final_one) {
    struct job *job = NULL;
    sample_end(&sample, mine, REASON_EXITED);
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), 0);
    ck_assert_ptr_eq(job, mine);
    struct job *newer = sample_job(&sample, 1000, "web", 0, 0);
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), 0);
    ck_assert_ptr_eq(job, newer);
    sample_end(&sample, newer, REASON_EXITED);
    ck_assert_int_eq(one("{\"name\": \"web\"}", &job), 0);
    ck_assert_ptr_eq(job, newer);
}
END_TEST

static int many(const char *text, struct job ***ret_jobs, size_t *ret_count) {
    json_t *params = json_loads(text, 0, NULL);
    call.refusal = (struct refusal){0};
    int r = target_many(&call, params, ret_jobs, ret_count);
    json_decref(params);
    return r;
}

START_TEST(several_come_in_the_order_asked_for) {
    struct job **jobs = NULL;
    size_t count = 0;
    ck_assert_int_eq(many("{\"ids\": [2, 1, 2]}", &jobs, &count), 0);
    ck_assert_uint_eq(count, 3);
    ck_assert(jobs[0] == others && jobs[1] == mine && jobs[2] == others);
    free(jobs);
    ck_assert_int_eq(many("{\"name\": \"web\"}", &jobs, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_eq(jobs[0], mine);
    free(jobs);
}
END_TEST

START_TEST(one_unknown_among_several_fails_all) {
    struct job **jobs = NULL;
    size_t count = 7;
    ck_assert_int_eq(many("{\"ids\": [1, 99, 2, 98]}", &jobs, &count), -ENOENT);
    ck_assert_int_eq(call.refusal.id, 99);
    ck_assert_ptr_null(jobs);
    ck_assert_uint_eq(count, 7);
    session.uid = 2000;
    ck_assert_int_eq(many("{\"ids\": [2, 1]}", &jobs, &count), -ENOENT);
    ck_assert_int_eq(call.refusal.id, 1);
    ck_assert_int_eq(many("{\"id\": 1}", &jobs, &count), -ENOENT);
    ck_assert_ptr_null(jobs);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/target");
    TCase *group = suite_case(suite, "target", setup, teardown);
    tcase_add_test(group, by_id_and_by_name);
    tcase_add_test(group, what_is_not_there_is_named);
    tcase_add_test(group, another_owners_job_is_not_found);
    tcase_add_loop_test(group, administrators_see_all, 0, 2);
    tcase_add_test(group, a_name_means_the_live_job_else_the_newest_final_one);
    tcase_add_test(group, several_come_in_the_order_asked_for);
    tcase_add_test(group, one_unknown_among_several_fails_all);
    return suite_run(suite);
}
