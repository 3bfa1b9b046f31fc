// cgroup_control: what is written into a cgroup's files and read from them; plain files stand in for the kernel's.
#include "daemon/os/cgroup_control.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/os/cgroup_file.h"
#include "tests/unit/suite.h"

static char dir[64], inner[96];
static int above, below;

static void setup(void) {
    strcpy(dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(inner, sizeof(inner), "%s/jobs", dir);
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    above = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    below = open(inner, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert(above >= 0 && below >= 0);
}

static void empty(const char *path) {
    DIR *files = opendir(path);
    for (struct dirent *e; files && (e = readdir(files));)
        if (e->d_type == DT_REG)
            unlinkat(dirfd(files), e->d_name, 0);
    if (files)
        closedir(files);
}

static void teardown(void) {
    char own[96];
    close(above);
    close(below);
    snprintf(own, sizeof(own), "%s/" CGROUP_MAIN, dir);
    mkdir(own, 0700);
    const char *const all[] = {own, inner, dir};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        empty(all[i]);
        ck_assert_int_eq(rmdir(all[i]), 0);
    }
}

static void put(int where, const char *name, const char *text) {
    int fd = openat(where, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void expect(int where, const char *name, const char *text) {
    char found[256];
    ck_assert_int_ge(cgroup_file_read(where, name, found, sizeof(found)), 0);
    ck_assert_str_eq(found, text);
}

START_TEST(limits_are_written_and_what_is_not_limited_is_left_alone) {
    const char *const names[] = {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.weight"};
    const int64_t none[LIMIT_TREE] = {-1, -1, -1}, all[LIMIT_TREE] = {1 << 20, 7, 50};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        put(below, names[i], "");
    ck_assert_int_eq(cgroup_control_limit(below, none), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        expect(below, names[i], "");
    ck_assert_int_eq(cgroup_control_limit(below, all), 0);
    expect(below, "memory.max", "1048576");
    expect(below, "memory.swap.max", "0");
    expect(below, "memory.oom.group", "1");
    expect(below, "pids.max", "7");
    expect(below, "cpu.weight", "50");
}
END_TEST

START_TEST(a_limit_that_is_not_to_be_had_fails) {
    const int64_t memory[LIMIT_TREE] = {4096, -1, -1}, processes[LIMIT_TREE] = {-1, 1, -1};
    ck_assert_int_eq(cgroup_control_limit(below, memory), -ENOENT);
    ck_assert_int_eq(cgroup_control_limit(below, processes), -ENOENT);
    put(below, "memory.max", "");
    put(below, "memory.oom.group", "");
    ck_assert_int_eq(cgroup_control_limit(below, memory), 0); // a kernel without swap
}
END_TEST

START_TEST(usage_is_read_from_what_is_there) {
    struct cgroup_usage usage;
    ck_assert_int_eq(cgroup_usage_read(above, "jobs", -1, 0, true, &usage), -ENOENT);
    put(below, "cpu.stat", "usage_usec 3500000\nuser_usec 2500000\nsystem_usec 1000000\nnice_usec 9\n");
    put(below, "io.stat", "8:0 rbytes=4096 wbytes=1 rios=1 wios=1 dbytes=77 dios=0\n259:1 rbytes=4 wbytes=2 rios=9\n");
    put(below, "memory.peak", "123456\n");
    put(below, "memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n");
    ck_assert_int_eq(cgroup_usage_read(above, "jobs", -1, 0, true, &usage), 0);
    ck_assert_double_eq(usage.user, 2.5);
    ck_assert_double_eq(usage.system, 1.0);
    ck_assert(usage.read_bytes == -1 && usage.written_bytes == -1 && usage.peak_bytes == -1 && usage.oom_kills == -1);
    ck_assert_int_eq(cgroup_usage_read(above, "jobs", -1, CGROUP_MEMORY | CGROUP_IO, true, &usage), 0);
    ck_assert_int_eq(usage.read_bytes, 4100);
    ck_assert_int_eq(usage.written_bytes, 3);
    ck_assert_int_eq(usage.peak_bytes, 123456);
    ck_assert_int_eq(usage.oom_kills, 2);
    ck_assert_int_eq(cgroup_usage_read(above, "jobs", -1, CGROUP_MEMORY | CGROUP_IO, false, &usage), 0);
    ck_assert_int_eq(usage.peak_bytes, -1);
}
END_TEST

START_TEST(without_controllers_there_are_none) {
    char why[160] = "";
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "no controllers"));
    put(above, "cgroup.controllers", "hugetlb rdma\n");
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), 0);
}
END_TEST

START_TEST(the_root_hands_down_whoever_is_in_it) {
    char why[160] = "";
    put(above, "cgroup.controllers", "cpuset cpu io memory pids\n");
    put(above, "cgroup.subtree_control", "");
    put(above, "cgroup.procs", "1\n");
    put(below, "cgroup.subtree_control",
        "cpu memory pids\n"); // as the kernel would show it; nothing is there to be added
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU);
    ck_assert_str_eq(why, "");
    put(below, "cgroup.subtree_control", "cpu pids\n");
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), CGROUP_PIDS | CGROUP_CPU);
    ck_assert_str_ne(why, "");
}
END_TEST

START_TEST(others_in_the_cgroup_are_in_the_way) {
    char why[160] = "", procs[64];
    put(above, "cgroup.controllers", "cpu memory pids\n");
    put(above, "cgroup.type", "domain\n");
    snprintf(procs, sizeof(procs), "1\n%d\n", (int)getpid());
    put(above, "cgroup.procs", procs);
    put(above, "cgroup.subtree_control", "");
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "others are in it"));
    expect(above, "cgroup.subtree_control", "");
    ck_assert_int_lt(faccessat(above, CGROUP_MAIN, F_OK, 0), 0);
    ck_assert_uint_eq(cgroup_control_begin(below, "/system.slice/supd.service/jobs", 0, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "DelegateSubgroup"));
}
END_TEST

START_TEST(the_daemon_alone_steps_aside) {
    char why[160] = "", procs[64];
    put(above, "cgroup.controllers", "cpu memory pids\n");
    put(above, "cgroup.type", "domain\n");
    snprintf(procs, sizeof(procs), "%d\n", (int)getpid());
    put(above, "cgroup.procs", procs);
    put(above, "cgroup.subtree_control", "");
    put(below, "cgroup.subtree_control", "cpu memory pids\n");
    ck_assert_int_eq(mkdirat(above, CGROUP_MAIN, 0700), 0);
    int main_dir = openat(above, CGROUP_MAIN, O_PATH | O_DIRECTORY | O_CLOEXEC);
    put(main_dir, "cgroup.procs", "");
    ck_assert_uint_eq(cgroup_control_begin(below, inner, 0, why), CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU);
    snprintf(procs, sizeof(procs), "%d", (int)getpid());
    expect(main_dir, "cgroup.procs", procs);
    close(main_dir);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/cgroup_control");
    TCase *group = suite_case(suite, "cgroup_control", setup, teardown);
    tcase_add_test(group, limits_are_written_and_what_is_not_limited_is_left_alone);
    tcase_add_test(group, a_limit_that_is_not_to_be_had_fails);
    tcase_add_test(group, usage_is_read_from_what_is_there);
    tcase_add_test(group, without_controllers_there_are_none);
    tcase_add_test(group, the_root_hands_down_whoever_is_in_it);
    tcase_add_test(group, others_in_the_cgroup_are_in_the_way);
    tcase_add_test(group, the_daemon_alone_steps_aside);
    return suite_run(suite);
}
