// plan: defaults, where a program is looked for, what is freed and closed.
#include <fcntl.h>

#include "common/util.h"
#include "daemon/os/plan.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static char **strings(const char *first, const char *second) {
    char **list = calloc(3, sizeof(*list));
    list[0] = first ? strdup(first) : NULL;
    list[1] = second ? strdup(second) : NULL;
    return list;
}

static struct plan plan_of(const char *program, const char *variable) {
    struct plan plan;
    plan_init(&plan);
    plan.argv = strings(program, NULL);
    plan.envp = strings("OTHER=1", variable);
    return plan;
}

static void expect_paths(const char *program, const char *variable, const char *const *paths) {
    struct plan plan = plan_of(program, variable);
    char path[PATH_MAX];
    plan_resolve(&plan);
    ck_assert_ptr_nonnull(plan.search);
    for (const char *search = plan.search; search; paths++) {
        ck_assert(plan_candidate(&search, program, path));
        ck_assert_pstr_eq(path, *paths);
    }
    ck_assert_ptr_null(*paths);
    plan_done(&plan);
}

static void expect_itself(const char *program) {
    struct plan plan = plan_of(program, "PATH=/a:/b");
    plan_resolve(&plan);
    ck_assert_ptr_null(plan.search);
    plan_done(&plan);
}
#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(starts_with_the_protocols_defaults) {
    struct plan plan;
    memset(&plan, 0x55, sizeof(plan));
    plan_init(&plan);
    ck_assert_int_eq(plan.stdin_fd, -1);
    ck_assert_int_eq(plan.out.fd, -1);
    ck_assert_int_eq(plan.err.fd, -1);
    ck_assert_int_eq(plan.out.kind, PLAN_NULL);
    ck_assert_int_eq(plan.err.kind, PLAN_NULL);
    ck_assert_int_eq(plan.umask, 022);
    ck_assert_int_eq(plan.stage, STAGE_NONE);
    ck_assert(!plan.set_nice && !plan.set_identity);
}
END_TEST

START_TEST(a_program_with_a_slash_is_itself) {
    expect_itself("/bin/true");
    expect_itself("./true");
    expect_itself("bin/true");
}
END_TEST

START_TEST(an_empty_program_is_looked_for_nowhere) {
    expect_itself("");
}
END_TEST

START_TEST(a_name_is_looked_for_in_the_jobs_own_path) {
    setenv("PATH", "/of/the/daemon", 1);
    expect_paths("make", "PATH=/a:/b/c:/d", PATHS("/a/make", "/b/c/make", "/d/make"));
    expect_paths("make", "PATH=/a", PATHS("/a/make"));
}
END_TEST

START_TEST(an_empty_element_is_the_cwd) {
    expect_paths("make", "PATH=:/a", PATHS("make", "/a/make"));
    expect_paths("make", "PATH=/a:", PATHS("/a/make", "make"));
    expect_paths("make", "PATH=/a::/b", PATHS("/a/make", "make", "/b/make"));
    expect_paths("make", "PATH=", PATHS("make"));
}
END_TEST

// `length`: of the directory.
static bool fits(size_t length, const char *program) {
    char path[PATH_MAX], *directory = malloc(length + 1);
    memset(directory, 'd', length);
    directory[length] = 0;
    const char *search = directory;
    bool result = plan_candidate(&search, program, path);
    ck_assert_ptr_null(search);
    ck_assert(!result || strlen(path) == length + 1 + strlen(program));
    free(directory);
    return result;
}

START_TEST(no_candidate_is_longer_than_a_path_may_be) {
    char program[PATH_MAX + 1];
    memset(program, 'p', PATH_MAX);
    program[PATH_MAX] = 0;
    ck_assert(fits(PATH_MAX - 6, "make"));
    ck_assert(!fits(PATH_MAX - 5, "make"));
    ck_assert(!fits(PATH_MAX - 1, "make"));
    ck_assert(!fits(PATH_MAX, "make"));
    ck_assert(!fits((size_t)3 * PATH_MAX, "make"));
    ck_assert(!fits(1, program));
    ck_assert(!fits(1, program + 1));
    ck_assert(fits(1, program + 3));
}
END_TEST

START_TEST(without_path_it_is_the_systems) {
    expect_paths("make", NULL, PATHS("/bin/make", "/usr/bin/make"));
    expect_paths("make", "PATHS=/a", PATHS("/bin/make", "/usr/bin/make"));
}
END_TEST

START_TEST(done_closes_what_it_owns_and_can_be_repeated) {
    int before = watch_descriptors();
    struct plan plan = plan_of("make", "PATH=/a");
    plan_resolve(&plan);
    plan.cwd = strdup("/");
    plan.out.path = strdup("file");
    plan.groups = calloc(3, sizeof(gid_t));
    plan.stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    plan.out.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    plan.err.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(watch_descriptors(), before + 3);
    plan_done(&plan);
    ck_assert_int_eq(watch_descriptors(), before);
    ck_assert_ptr_null(plan.argv);
    plan_done(&plan);
    ck_assert_int_eq(watch_descriptors(), before);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/plan");
    TCase *group = suite_case(suite, "plan", NULL, NULL);
    tcase_add_test(group, starts_with_the_protocols_defaults);
    tcase_add_test(group, a_program_with_a_slash_is_itself);
    tcase_add_test(group, an_empty_program_is_looked_for_nowhere);
    tcase_add_test(group, a_name_is_looked_for_in_the_jobs_own_path);
    tcase_add_test(group, an_empty_element_is_the_cwd);
    tcase_add_test(group, no_candidate_is_longer_than_a_path_may_be);
    tcase_add_test(group, without_path_it_is_the_systems);
    tcase_add_test(group, done_closes_what_it_owns_and_can_be_repeated);
    return suite_run(suite);
}
