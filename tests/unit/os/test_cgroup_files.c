// cgroup_files: who has a place, and who loses it to whom; a plain directory stands in for a cgroup.
#include "daemon/os/cgroup_files.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/util.h"
#include "tests/unit/suite.h"

static char dir[64];

static void put(const char *name) {
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fclose(file);
}

static void setup(void) {
    strcpy(dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    put("cgroup.events");
    put("cpu.stat");
}

static void teardown(void) {
    char path[96];
    snprintf(path, sizeof(path), "%s/cgroup.events", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/cpu.stat", dir);
    unlink(path);
    rmdir(dir);
}

static int directory(void) {
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(a_pooled_one_keeps_what_is_open) {
    struct cgroup_files *files = cgroup_files_new(1);
    struct cgroup first = {.number = 1, .place = -1};
    cgroup_files_take(files, &first);
    ck_assert_int_eq(first.place, 0);
    ck_assert_int_eq(cgroup_files_directory(files, &first), -1);
    int fd = directory();
    ck_assert(cgroup_files_open(files, &first, fd));
    ck_assert_int_eq(cgroup_files_directory(files, &first), fd);
    int events = cgroup_files_events(files, &first), cpu = cgroup_files_cpu(files, &first);
    ck_assert(is_open(events) && is_open(cpu));
    cgroup_files_launched(files, &first);
    cgroup_files_pool(files, &first);
    struct cgroup again = first;
    cgroup_files_take(files, &again);
    ck_assert_int_eq(cgroup_files_directory(files, &again), fd);
    cgroup_files_give(files, &again);
    ck_assert(again.place == -1 && !is_open(fd) && !is_open(events) && !is_open(cpu));
    cgroup_files_free(files);
}
END_TEST

START_TEST(a_place_is_taken_from_a_running_job_alone) {
    struct cgroup_files *files = cgroup_files_new(2);
    struct cgroup cgroups[4] = {{1, -1}, {2, -1}, {3, -1}, {4, -1}};
    int fds[4];
    for (int i = 0; i < 2; i++) {
        cgroup_files_take(files, &cgroups[i]);
        fds[i] = directory();
        ck_assert(cgroup_files_open(files, &cgroups[i], fds[i]));
    }
    fds[2] = directory();
    cgroup_files_take(files, &cgroups[2]); // both others are being launched
    ck_assert_int_eq(cgroups[2].place, -1);
    ck_assert(!cgroup_files_open(files, &cgroups[2], fds[2]));
    ck_assert_int_eq(cgroup_files_events(files, &cgroups[2]), -1);
    close(fds[2]);
    cgroup_files_launched(files, &cgroups[1]);
    cgroup_files_take(files, &cgroups[3]);
    ck_assert(cgroups[1].place == -1 && cgroups[3].place == 1 && !is_open(fds[1]) && is_open(fds[0]));
    ck_assert_int_eq(cgroup_files_cpu(files, &cgroups[3]), -1);
    cgroup_files_give(files, &cgroups[3]);
    cgroup_files_take(files, &cgroups[1]); // a free one goes before a running job's
    ck_assert(cgroups[1].place == 1 && cgroups[0].place == 0);
    cgroup_files_free(files); // and what it had open with it
    ck_assert(!is_open(fds[0]));
}
END_TEST

START_TEST(none_may_be_open) {
    struct cgroup_files *files = cgroup_files_new(0);
    struct cgroup cgroup = {.number = 1, .place = -1};
    cgroup_files_take(files, &cgroup);
    cgroup_files_launched(files, &cgroup);
    cgroup_files_pool(files, &cgroup);
    ck_assert_int_eq(cgroup_files_directory(files, &cgroup), -1);
    cgroup_files_give(files, &cgroup);
    cgroup_files_free(files);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/cgroup_files");
    TCase *group = suite_case(suite, "cgroup_files", setup, teardown);
    tcase_add_test(group, a_pooled_one_keeps_what_is_open);
    tcase_add_test(group, a_place_is_taken_from_a_running_job_alone);
    tcase_add_test(group, none_may_be_open);
    return suite_run(suite);
}
