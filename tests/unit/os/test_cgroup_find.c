// cgroup_find: where the hierarchy is, from the kernel's tables; the files of /proc are the test's own here.
#include "daemon/os/cgroup_find.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static const char *mountinfo, *own; // what the two files hold; NULL: not there
static char dir[64];

FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

FILE *__wrap_fopen(const char *path, const char *mode) {
    const char *text = streq(path, "/proc/self/mountinfo") ? mountinfo : streq(path, "/proc/self/cgroup") ? own : NULL;
    if (!text) {
        errno = ENOENT;
        return NULL;
    }
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    rewind(file);
    return file;
}

FILE *__wrap_fopen64(const char *path, const char *mode) {
    return __wrap_fopen(path, mode);
}

static void setup(void) {
    strcpy(dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    rmdir(dir);
}

__attribute__((format(printf, 1, 2))) static char *mount_line(const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    ck_assert_int_gt(vasprintf(&text, format, args), 0);
    va_end(args);
    return text;
}

#define HEAD "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"

static void expect_found(const char *below) {
    char why[160] = "", expected[160], *path = NULL;
    int before = watch_descriptors();
    ck_assert_msg(cgroup_find("supd-x", &path, why) == 0, "%s", why);
    snprintf(expected, sizeof(expected), "%s%s/supd-x", dir, below);
    ck_assert_pstr_eq(path, expected);
    ck_assert_int_eq(access(path, F_OK), 0); // made, and there already the next time
    free(path);
    path = NULL;
    ck_assert_int_eq(cgroup_find("supd-x", &path, why), 0);
    ck_assert_int_eq(rmdir(path), 0);
    free(path);
    ck_assert_int_eq(watch_descriptors(), before);
}

static void expect_refused(int error) {
    char why[160] = "", *path = NULL;
    ck_assert_int_eq(cgroup_find("supd-x", &path, why), error);
    ck_assert_ptr_null(path);
    ck_assert_str_ne(why, "");
}

START_TEST(a_unified_mount) {
    _cleanup_free_ char *text = mount_line(HEAD "38 31 0:31 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
                                           dir);
    mountinfo = text;
    own = "0::/\n";
    expect_found("");
}
END_TEST

START_TEST(a_hybrid_mount_beside_version_one) {
    _cleanup_free_ char *text = mount_line(HEAD "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                                                "38 31 0:31 / %s rw shared:1 master:2 - cgroup2 none rw\n",
                                           dir);
    mountinfo = text;
    own = "9:name=systemd:/\n1:cpu:/elsewhere\n0::/\n";
    expect_found("");
}
END_TEST

START_TEST(the_daemons_own_place_in_it) {
    _cleanup_free_ char *text = NULL;
    char path[96];
    text = mount_line(HEAD "38 31 0:31 / %s rw - cgroup2 cgroup2 rw\n", dir);
    mountinfo = text;
    own = "1:cpu:/elsewhere\n0::/user.slice\n";
    expect_refused(-ENOENT); // what the table says is not there
    snprintf(path, sizeof(path), "%s/user.slice", dir);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    expect_found("/user.slice");
    rmdir(path);
}
END_TEST

// proc(5): space, tab, newline and backslash of a mount point are written in octal.
START_TEST(a_mount_point_with_a_space) {
    _cleanup_free_ char *text = NULL;
    char path[96];
    text = mount_line(HEAD "38 31 0:31 / %s/a\\040b rw - cgroup2 cgroup2 rw\n", dir);
    mountinfo = text;
    own = "0::/\n";
    snprintf(path, sizeof(path), "%s/a b", dir);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    char why[160] = "", *found = NULL;
    int r = cgroup_find("supd-x", &found, why);
    if (found)
        rmdir(found);
    free(found);
    rmdir(path);
    ck_assert_msg(r == 0, "%s", why);
}
END_TEST

START_TEST(no_hierarchy_of_version_two) {
    _cleanup_free_ char *text = NULL;
    own = "0::/\n";
    mountinfo = HEAD;
    expect_refused(-ENOENT);
    text = mount_line(HEAD "38 31 0:31 / %s rw - cgroup cgroup2 rw,cpu\n",
                      dir); // only its source is so called
    expect_refused(-ENOENT);
    mountinfo = text;
    mountinfo = "";
    expect_refused(-ENOENT);
    mountinfo = NULL;
    expect_refused(-ENOENT);
}
END_TEST

START_TEST(a_process_without_a_place_in_it) {
    _cleanup_free_ char *text = mount_line("38 31 0:31 / %s rw - cgroup2 cgroup2 rw\n", dir);
    mountinfo = text;
    own = "1:cpu:/\n10::/\n";
    expect_refused(-ENOENT);
    own = NULL;
    expect_refused(-ENOENT);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_to_is_named) {
    char why[160] = "", *path = NULL;
    mountinfo = "38 31 0:31 / /proc rw - cgroup2 cgroup2 rw\n";
    own = "0::/\n";
    ck_assert_int_lt(cgroup_find("supd-x", &path, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "/proc/supd-x"));
}
END_TEST

// In a directory that is no cgroup nobody can be moved, and nothing is left behind.
START_TEST(trying_it_out_where_it_cannot_work) {
    char why[160] = "";
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), before = watch_descriptors();
    ck_assert_int_eq(cgroup_try(fd, why), -ENOENT);
    ck_assert_str_ne(why, "");
    ck_assert_uint_eq(watch_children(), 0);
    ck_assert_int_eq(watch_descriptors(), before);
    ck_assert_int_eq(faccessat(fd, "probe", F_OK, 0), -1);
    close(fd);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/cgroup_find");
    TCase *group = suite_case(suite, "cgroup_find", setup, teardown);
    tcase_add_test(group, a_unified_mount);
    tcase_add_test(group, a_hybrid_mount_beside_version_one);
    tcase_add_test(group, the_daemons_own_place_in_it);
    tcase_add_test(group, a_mount_point_with_a_space);
    tcase_add_test(group, no_hierarchy_of_version_two);
    tcase_add_test(group, a_process_without_a_place_in_it);
    tcase_add_test(group, a_place_that_cannot_be_written_to_is_named);
    tcase_add_test(group, trying_it_out_where_it_cannot_work);
    return suite_run(suite);
}
