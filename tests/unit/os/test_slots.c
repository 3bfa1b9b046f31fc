// slots: reserved low, never inherited, overwritten in place; a shortage is told.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/os/slots.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static bool is_null(int fd) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && a.st_rdev == b.st_rdev && S_ISCHR(a.st_mode);
}

START_TEST(every_launcher_has_its_own) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT], before = watch_descriptors();
    ck_assert_int_eq(slots_reserve(SLOTS_LAUNCHERS, slots), 0);
    ck_assert_int_eq(watch_descriptors(), before + SLOTS_LAUNCHERS * SLOT_COUNT);
    int last = 2;
    for (int l = 0; l < SLOTS_LAUNCHERS; l++)
        for (int s = 0; s < SLOT_COUNT; s++) {
            ck_assert_int_gt(slots[l][s], last);
            last = slots[l][s];
            ck_assert(is_null(last));
            ck_assert_int_eq(fcntl(last, F_GETFD), FD_CLOEXEC);
        }
}
END_TEST

START_TEST(closed_standard_descriptors_are_filled_first) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT];
    int saved = fcntl(1, F_DUPFD_CLOEXEC, 100);
    close(0);
    close(1);
    int r = slots_reserve(1, slots);
    bool in = is_null(0), out = is_null(1);
    dup2(saved, 1);
    ck_assert_int_eq(r, 0);
    ck_assert(in && out);
    for (int s = 0; s < SLOT_COUNT; s++)
        ck_assert_int_gt(slots[0][s], 2);
}
END_TEST

START_TEST(a_shortage_is_told) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT] = {{0}};
    const struct rlimit few = {16, 16};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    int r = slots_reserve(SLOTS_LAUNCHERS, slots);
    for (int i = 0; i < SLOTS_LAUNCHERS * SLOT_COUNT; i++)
        if (slots[i / SLOT_COUNT][i % SLOT_COUNT] > 2)
            close(slots[i / SLOT_COUNT][i % SLOT_COUNT]);
    ck_assert_int_eq(r, -EMFILE);
    ck_assert_int_gt(slots[0][0], 2); // it came that far
}
END_TEST

START_TEST(a_copy_is_laid_over_and_taken_back) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT], ends[2];
    char byte;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(slots_reserve(1, slots), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int count = watch_descriptors(), slot = slots[0][SLOT_OUT];
    ck_assert_int_eq(slot_lay(slot, ends[1], null), 0);
    ck_assert_int_eq(watch_descriptors(), count);
    ck_assert_int_eq(fcntl(slot, F_GETFD), FD_CLOEXEC);
    close(ends[1]);
    ck_assert_int_eq(write(slot, "x", 1), 1); // the slot holds the pipe by itself
    ck_assert_int_eq(slot_lay(slot, -1, null), 0);
    ck_assert(is_null(slot));
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0); // and let go of it
}
END_TEST

START_TEST(what_is_not_open_cannot_be_laid) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT];
    ck_assert_int_eq(slots_reserve(1, slots), 0);
    ck_assert_int_eq(slot_lay(slots[0][0], 900, -1), -EBADF);
    ck_assert(is_null(slots[0][0]));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/slots");
    TCase *group = suite_case(suite, "slots", NULL, NULL);
    tcase_add_test(group, every_launcher_has_its_own);
    tcase_add_test(group, closed_standard_descriptors_are_filled_first);
    tcase_add_test(group, a_shortage_is_told);
    tcase_add_test(group, a_copy_is_laid_over_and_taken_back);
    tcase_add_test(group, what_is_not_open_cannot_be_laid);
    return suite_run(suite);
}
