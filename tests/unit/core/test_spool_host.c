// spool_host: where logs live, what is swept there, the cap, and a disk that is full.
#include "daemon/store/spool_host.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/util.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/suite.h"

static char scratch[65536];

static char top[64]; // on a tmpfs
static char output[80];
static struct spool_host *host;

static void setup(void) {
    strcpy(top, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(output, sizeof(output), "%s/output", top);
}

static void teardown(void) {
    rmdir(output);
    ck_assert_int_eq(rmdir(top), 0); // nothing was left there
}

static bool exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

static void touch(const char *folder, const char *name) {
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    fd_close(fd);
}

START_TEST(a_tmpfs_is_used_as_it_is) {
    struct stat st;
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                       &host),
        0);
    ck_assert_str_eq(spool_host_path(host), output);
    ck_assert_int_eq(stat(output, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    spool_host_free(host);
    ck_assert(!exists(output));
    ck_assert(!exists("/dev/shm/unused"));
}
END_TEST

START_TEST(files_of_an_earlier_daemon_are_swept) {
    ck_assert_int_eq(mkdir(output, 0700), 0);
    touch(output, "1");
    touch(output, "17");
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                       &host),
        0);
    uint64_t file;
    int fd = spool_host_create(host, &file); // its number is free again
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file, 1);
    fd_close(fd);
    spool_host_remove(host, file);
    spool_host_free(host); // removes the directory only where nothing is left in it
    ck_assert(!exists(output));
}
END_TEST

// Refused, and left as it was: it is not ours.
START_TEST(a_directory_open_to_others_is_refused_and_left) {
    ck_assert_int_eq(mkdir(output, 0700), 0);
    ck_assert_int_eq(chmod(output, 0750), 0);
    host = NULL;
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                       &host),
        -EPERM);
    ck_assert_ptr_null(host);
    ck_assert(exists(output));
}
END_TEST

START_TEST(a_link_is_not_followed) {
    char target[80];
    snprintf(target, sizeof(target), "%s/target", top);
    ck_assert_int_eq(mkdir(target, 0700), 0);
    ck_assert_int_eq(symlink(target, output), 0);
    touch(target, "1");
    int r = spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                           &host);
    ck_assert(r == -ELOOP || r == -ENOTDIR);
    char file[100];
    snprintf(file, sizeof(file), "%s/1", target);
    ck_assert_int_eq(unlink(file), 0); // it was not swept
    ck_assert_int_eq(unlink(output), 0);
    ck_assert_int_eq(rmdir(target), 0);
}
END_TEST

// In /dev/shm, which everybody may write to, somebody may have been there first, and may leave. Where /tmp is a tmpfs it is
// the place in any case.
START_TEST(a_name_that_others_have_taken_is_passed_over) {
    char disk[] = "/tmp/supd-unit-XXXXXX", place[64], name[40], taken[64];
    ck_assert_ptr_nonnull(mkdtemp(disk));
    snprintf(place, sizeof(place), "%s/output", disk);
    snprintf(name, sizeof(name), "supd-unit-taken-%d", (int)getpid());
    snprintf(taken, sizeof(taken), "/dev/shm/%s", name);
    struct spool_host_parts parts = {.path = disk, .name = name, .cap = 100, .scratch = scratch};
    ck_assert_int_eq(mkdir(taken, 0755), 0);
    int r = spool_host_new(&parts, &host);
    ck_assert_int_eq(rmdir(taken), 0);
    ck_assert_int_eq(r, 0);
    ck_assert_str_eq(spool_host_path(host), place);
    parts.resumed = true;
    struct spool_host *next;
    ck_assert_int_eq(spool_host_new(&parts, &next), 0);
    ck_assert_str_eq(spool_host_path(next), place);
    spool_host_free(host);
    spool_host_free(next);
    ck_assert_int_eq(rmdir(disk), 0);
}
END_TEST

START_TEST(a_place_that_is_not_there_is_an_error) {
    char nowhere[100];
    snprintf(nowhere, sizeof(nowhere), "%s/no", top);
    // Not on a tmpfs, so /dev/shm is taken; a name that can't be made there is the answer.
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = nowhere, .name = "no/where", .cap = 100, .scratch = scratch},
                       &host),
        -ENOENT);
}
END_TEST

START_TEST(the_cap_counts_to_the_byte) {
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                       &host),
        0);
    ck_assert_int_eq(spool_host_reserve(host, NULL, 60), 0);
    ck_assert_int_eq(spool_host_reserve(host, NULL, 41), -ENOSPC);
    ck_assert_int_eq(spool_host_stored(host), 60);
    ck_assert_int_eq(spool_host_reserve(host, NULL, 40), 0);
    ck_assert_int_eq(spool_host_reserve(host, NULL, 1), -ENOSPC);
    spool_host_account(host, NULL, -100);
    ck_assert_int_eq(spool_host_stored(host), 0);
    spool_host_count(host, 7);
    spool_host_count(host, 8);
    ck_assert_int_eq(spool_host_captured(host), 15);
    spool_host_free(host);
}
END_TEST

START_TEST(files_have_numbers_of_their_own) {
    uint64_t a, b;
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 100, .scratch = scratch},
                       &host),
        0);
    int first = spool_host_create(host, &a), second = spool_host_create(host, &b);
    ck_assert_int_ge(MIN(first, second), 0);
    ck_assert(a != b && a > 0 && b > 0);
    ck_assert_int_eq(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    fd_close(first);
    fd_close(second);
    spool_host_remove(host, a);
    ck_assert_int_eq(spool_host_open(host, a, O_RDWR), -ENOENT);
    second = spool_host_open(host, b, O_RDWR);
    ck_assert_int_ge(second, 0);
    fd_close(second);
    spool_host_remove(host, b);
    spool_host_free(host);
}
END_TEST

// A log on a disk of a quarter MiB: it ends where the disk does, and gives the space back.
static void fill_the_disk(void) {
    struct spool spool;
    int64_t gaps[2][2];
    size_t room;
    spool_init(&spool, host, 1 << 20, 0, -1);
    while (spool.total < 1 << 20) {
        char *to = spool_room(&spool, 10000, INT64_MAX, &room);
        HOLDS(room > 0);
        memset(to, 'x', room); // SIGBUS, were it not allocated
        spool_commit(&spool, room);
    }
    ck_assert_int_gt(spool.stored, 0);
    ck_assert_int_le(spool.stored, 256L * 1024);
    ck_assert_int_eq(spool_gaps(&spool, gaps), 1);
    ck_assert_int_eq(gaps[0][0], spool.stored);
    ck_assert_int_eq(gaps[0][1], spool.total);
    char last;
    ck_assert_uint_eq(spool_read(&spool, spool.stored - 1, &last, 1), 1);
    ck_assert_int_eq(last, 'x');
    spool_seal(&spool);
    spool_shrink(&spool);
    ck_assert_int_eq(spool_host_stored(host), spool_taken(&spool));
    spool_done(&spool);
    ck_assert_int_eq(spool_host_stored(host), 0);
}

START_TEST(a_full_disk_is_a_gap) {
    if (geteuid() != 0 || mount("tmpfs", top, "tmpfs", MS_NOSUID | MS_NODEV, "size=256k,mode=0700") < 0) {
        printf("a_full_disk_is_a_gap: skipped, a tmpfs can't be mounted\n");
        return;
    }
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = top, .name = "unused", .cap = 1 << 30, .scratch = scratch},
                       &host),
        0);
    fill_the_disk();
    fill_the_disk(); // the space of the first is there again
    spool_host_free(host);
    ck_assert_int_eq(umount2(top, MNT_DETACH), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("spool_host");
    TCase *group = suite_case(suite, "directory", setup, teardown);
    tcase_add_test(group, a_tmpfs_is_used_as_it_is);
    tcase_add_test(group, files_of_an_earlier_daemon_are_swept);
    tcase_add_test(group, a_directory_open_to_others_is_refused_and_left);
    tcase_add_test(group, a_link_is_not_followed);
    tcase_add_test(group, a_name_that_others_have_taken_is_passed_over);
    tcase_add_test(group, a_place_that_is_not_there_is_an_error);
    tcase_add_test(group, the_cap_counts_to_the_byte);
    tcase_add_test(group, files_have_numbers_of_their_own);
    tcase_add_test(group, a_full_disk_is_a_gap);
    return suite_run(suite);
}
