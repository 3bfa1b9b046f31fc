// strays: orphans that come to the daemon are ended; reapers are not. And a tree whose reaper was killed.
#include "daemon/os/strays.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/os/tree_internal.h"
#include "tests/unit/os/family.h"
#include "tests/unit/os/rig.h"
#include "tests/unit/suite.h"
#include "tests/unit/os/watch.h"

static struct strays *open_strays(struct ev_loop *loop) {
    struct strays *strays;
    int reaper = open(TEST_REAPER, O_PATH | O_CLOEXEC);
    ck_assert_int_eq(strays_new(loop, getpid(), NULL, reaper, &strays), 0);
    close(reaper);
    return strays;
}

// By what they are, not by what they are called. This program's own is one that is about to become a reaper.
START_TEST(orphans_are_ended_and_reaped_and_reapers_left_alone) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct strays *strays = open_strays(loop);
    char dir[] = "/tmp/supd-unit-XXXXXX", link[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(link, sizeof(link), "%s/supd-reaper", dir);
    ck_assert_int_eq(symlink(TEST_CHILD, link), 0);
    pid_t known = family_orphan(TEST_CHILD), orphan = family_orphan(TEST_CHILD), named = family_orphan(link);
    pid_t reaper = family_holder(TEST_REAPER), future = family_orphan(NULL);
    unlink(link);
    rmdir(dir);
    struct tree tree = {.holder = known};
    strays_know(strays, &tree);
    strays_sweep(strays);
    ev_ref(loop);
    while (watch_state(orphan) != 0 || watch_state(named) != 0) // until it is reaped, which takes a SIGCHLD
        ev_run(loop, EVRUN_ONCE);
    ck_assert(watch_alive(known) && watch_alive(reaper) && watch_alive(future));
    ck_assert_uint_eq(watch_children(), 3);
    // A later one is met as well: somebody's end brings the next look.
    strays_unknow(strays, &tree);
    pid_t later = family_orphan(TEST_CHILD);
    while (watch_state(later) != 0 || watch_state(known) != 0) {
        raise(SIGCHLD);
        ev_run(loop, EVRUN_ONCE);
    }
    ck_assert_uint_eq(watch_children(), 2);
    kill(reaper, SIGKILL);
    kill(future, SIGKILL);
    ev_unref(loop);
    strays_free(strays);
    ev_loop_destroy(loop);
}
END_TEST

static void copy(const char *from, const char *to) {
    struct stat st;
    unlink(to);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    ck_assert_int_eq(fstat(in, &st), 0);
    ck_assert_int_eq(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
    close(in);
    close(out);
}

// An upgrade puts another file in its place. Who has only the name, or is another user's, is none.
START_TEST(reapers_of_before_an_upgrade_are_left_alone) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    char dir[] = "/tmp/supd-unit-XXXXXX", path[64], other[64];
    struct strays *strays;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chmod(dir, 0755), 0);
    snprintf(path, sizeof(path), "%s/supd-reaper", dir);
    snprintf(other, sizeof(other), "%s/other", dir);
    copy(TEST_REAPER, path);
    copy(TEST_CHILD, other);
    pid_t before = family_holder(path), orphan = family_orphan(other), theirs = 0;
    if (geteuid() == 0) { // else there is no other user
        ck_assert_int_eq(setresuid(1, 1, 0), 0);
        theirs = family_holder(path);
        ck_assert_int_eq(setresuid(0, 0, 0), 0);
    }
    unlink(other);
    copy(TEST_REAPER, path);
    int reaper = open(path, O_PATH | O_CLOEXEC);
    ck_assert_int_eq(strays_new(loop, getpid(), NULL, reaper, &strays), 0);
    strays_sweep(strays);
    ev_ref(loop);
    while (watch_state(orphan) != 0 || (theirs > 0 && watch_state(theirs) != 0))
        ev_run(loop, EVRUN_ONCE);
    ev_unref(loop);
    bool was_left = watch_alive(before);
    kill(before, SIGKILL);
    close(reaper);
    unlink(path);
    rmdir(dir);
    strays_free(strays);
    ev_loop_destroy(loop);
    ck_assert(was_left);
}
END_TEST

// They stand in the order in which they came.
START_TEST(an_orphan_behind_many_reapers_is_ended) {
    enum { MANY = 300 };
    static struct tree trees[MANY];
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct strays *strays = open_strays(loop);
    for (int i = 0; i < MANY; i++) {
        trees[i].holder = fork();
        ck_assert_int_ge(trees[i].holder, 0);
        if (trees[i].holder == 0)
            for (;;)
                pause();
        strays_know(strays, &trees[i]);
    }
    pid_t orphan = family_orphan(TEST_CHILD);
    strays_sweep(strays);
    ev_ref(loop);
    while (watch_state(orphan) != 0)
        ev_run(loop, EVRUN_ONCE);
    ev_unref(loop);
    for (int i = 0; i < MANY; i++) {
        ck_assert(watch_alive(trees[i].holder));
        strays_unknow(strays, &trees[i]);
        kill(trees[i].holder, SIGKILL);
        waitpid(trees[i].holder, NULL, 0);
    }
    strays_free(strays);
    ev_loop_destroy(loop);
}
END_TEST

// Whoever is of one user with it may stop it: its parent lets it go on.
START_TEST(a_reaper_that_is_stopped_goes_on) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct strays *strays = open_strays(loop);
    pid_t reaper = family_holder(TEST_REAPER);
    ev_ref(loop);
    kill(reaper, SIGSTOP);
    watch_until(reaper, 'T');
    while (watch_state(reaper) == 'T')
        ev_run(loop, EVRUN_ONCE);
    ck_assert(watch_alive(reaper));
    kill(reaper, SIGKILL);
    ev_unref(loop);
    strays_free(strays);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(none_at_all_is_no_trouble) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct strays *strays = open_strays(loop);
    strays_sweep(strays);
    ev_run(loop, EVRUN_NOWAIT); // what is watched from now on does not keep a loop
    ck_assert_uint_eq(ev_pending_count(loop), 0);
    strays_free(strays);
    strays_free(NULL);
    ev_run(loop, 0);
    ev_loop_destroy(loop);
}
END_TEST

// The job could kill its own reaper: then nothing is proven, and still nobody is left.
START_TEST(a_tree_whose_reaper_is_killed_is_unproven_and_ended) {
    struct rig rig;
    struct rig_job job;
    pid_t pids[16];
    char line[64];
    rig_open(&rig, _i ? SPAWN_PLAIN : SPAWN_FAST, TREE_REAPER);
    rig_start(&rig, &job, TREE_REST_KILL, "bomb", "10");
    rig_expect_running(&job);
    watch_line(job.launch.out_fd, line, sizeof(line));
    ck_assert_int_eq(tree_pids(job.tree, pids, ARRAY_SIZE(pids)), 11);
    ck_assert_int_eq(kill(job.tree->holder, SIGKILL), 0);
    rig_until(&rig, &job.settled);
    ck_assert_int_eq(job.unprovens, 1);
    ck_assert_int_eq(job.empties, 0);
    ck_assert_int_eq(job.exits, 1);
    ck_assert(job.in_order);
    while (watch_children() > 0)
        ev_run(rig.loop, EVRUN_ONCE);
    for (int i = 0; i < 11; i++)
        ck_assert(!watch_alive(pids[i]));
    rig_done(&job);
    rig_close(&rig);
}
END_TEST

START_TEST(a_killed_reaper_costs_no_other_tree_anybody) {
    struct rig rig;
    struct rig_job job, other;
    pid_t pids[16];
    char line[64];
    rig_open(&rig, _i ? SPAWN_PLAIN : SPAWN_FAST, TREE_REAPER);
    rig_start(&rig, &other, TREE_REST_KILL, "bomb", "10");
    rig_expect_running(&other);
    watch_line(other.launch.out_fd, line, sizeof(line));
    rig_start(&rig, &job, TREE_REST_KILL, "bomb", "10");
    rig_expect_running(&job);
    watch_line(job.launch.out_fd, line, sizeof(line));
    ck_assert_int_eq(kill(job.tree->holder, SIGKILL), 0);
    rig_until(&rig, &job.settled);
    while (watch_children() > 1)
        ev_run(rig.loop, EVRUN_ONCE);
    ck_assert_int_eq(tree_pids(other.tree, pids, ARRAY_SIZE(pids)), 11);
    ck_assert(!other.settled);
    tree_kill(other.tree);
    rig_until(&rig, &other.settled);
    ck_assert_int_eq(other.empties, 1);
    rig_done(&job);
    rig_done(&other);
    rig_close(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/strays");
    TCase *group = suite_case(suite, "strays", NULL, NULL);
    tcase_add_test(group, orphans_are_ended_and_reaped_and_reapers_left_alone);
    tcase_add_test(group, reapers_of_before_an_upgrade_are_left_alone);
    tcase_add_test(group, an_orphan_behind_many_reapers_is_ended);
    tcase_add_test(group, a_reaper_that_is_stopped_goes_on);
    tcase_add_test(group, none_at_all_is_no_trouble);
    TCase *reaper = suite_case(suite, "reaper", NULL, NULL);
    tcase_add_loop_test(reaper, a_tree_whose_reaper_is_killed_is_unproven_and_ended, 0, 2);
    tcase_add_loop_test(reaper, a_killed_reaper_costs_no_other_tree_anybody, 0, 2);
    return suite_run(suite);
}
