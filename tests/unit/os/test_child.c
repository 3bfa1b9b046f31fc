// child: the steps between clone and exec, in their order, each with its stage and errno.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/slots.h"
#include "tests/unit/os/stand.h"
#include "tests/unit/suite.h"

static struct stand stand;
static struct plan plan;

static void setup(void) {
    stand_open(&stand);
    stand_plan(&stand, &plan, "exit");
}

static void teardown(void) {
    plan_done(&plan);
    stand_close(&stand);
}

// As the plain spawn does it. Returns the status of wait(2).
static int run(void) {
    int status;
    *stand.report = (struct child_report){.stage = STAGE_NONE};
    pid_t pid = fork();
    if (pid == 0)
        child_run(&plan, &stand.setup, stand.report);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_failure(enum launch_stage stage, int error) {
    int status = run();
    ck_assert_int_eq(stand.report->stage, stage);
    ck_assert_int_eq(stand.report->error, error);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    ck_assert_str_eq(stand_output(&stand), "");
}

static void expect_success(void) {
    int status = run();
    ck_assert_int_eq(stand.report->stage, STAGE_NONE);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

static const char *in_dir(const char *name) {
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", stand.dir, name);
    return path;
}

static void program_make(const char *path, mode_t mode, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

// Everything is wrong; each time the first that is wrong is told, then mended.
START_TEST(the_first_wrong_step_is_the_one_told) {
    stand_drop_root();
    plan.set_nice = true;
    plan.nice = -5;
    plan.set_identity = true;
    plan.cwd[strlen(plan.cwd) - 1] ^= 1; // a directory that is not there
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("none/file"), .fd = -1};
    stand_argv(&plan, "/nowhere/program", NULL);
    int slot = stand.setup.slots[SLOT_PROGRAM], read_only = open("/dev/null", O_RDONLY | O_CLOEXEC);
    stand.setup.join = true;
    ck_assert_int_eq(slot_lay(slot, read_only, stand.null), 0);
    close(read_only);
    expect_failure(STAGE_RESOURCES, EBADF); // the cgroup cannot be joined
    stand.setup.join = false;
    expect_failure(STAGE_IDENTITY, EPERM);
    plan.set_identity = false;
    expect_failure(STAGE_NICE, EACCES);
    plan.set_nice = false;
    expect_failure(STAGE_CWD, ENOENT);
    plan.cwd[strlen(plan.cwd) - 1] ^= 1;
    expect_failure(STAGE_STDIO, ENOENT);
    strcpy(plan.out.path, "file");
    expect_failure(STAGE_EXEC, ENOENT);
    stand_argv(&plan, "/bin/true", NULL); // the child of the tests may stand where only root comes
    expect_success();
}
END_TEST

START_TEST(limits_are_refused_as_limits) {
    stand_drop_root();
    rlim_t *most = &stand.setup.limits[RLIMIT_NOFILE].rlim_max;
    *most = *most > 4 ? *most + 1 : 4;
    expect_failure(STAGE_LIMITS, EPERM);
}
END_TEST

START_TEST(a_lost_slot_is_stdio) {
    int slot = stand.setup.slots[SLOT_ERR];
    close(slot);
    expect_failure(STAGE_STDIO, EBADF);
    ck_assert_int_eq(dup3(stand.null, slot, O_CLOEXEC), slot);
}
END_TEST

START_TEST(a_relative_file_is_in_the_cwd_and_has_the_umask) {
    struct stat st;
    plan.umask = 027;
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("file"), .fd = -1};
    expect_success();
    ck_assert_int_eq(stat(in_dir("file"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_file_is_replaced_or_appended_to) {
    char text[64] = "";
    program_make(in_dir("file"), 0666, "some longer text from before\n");
    stand_argv(&plan, TEST_CHILD, "umask");
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("file"), .fd = -1};
    expect_success();
    plan.out.append = true;
    expect_success();
    int fd = open(in_dir("file"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    ck_assert_str_eq(text, "022\n022\n");
}
END_TEST

START_TEST(stderr_can_be_the_same_file_as_stdout) {
    char text[64] = "";
    stand_argv(&plan, TEST_CHILD, "both");
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("file"), .fd = -1};
    plan.err.kind = PLAN_STDOUT;
    expect_success();
    int fd = open(in_dir("file"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    ck_assert_str_eq(text, "out 0\nerr 0\nout 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nout 4\nerr 4\n");
}
END_TEST

START_TEST(identity_comes_before_cwd_and_files) {
    struct stat st;
    if (geteuid() != 0) {
        puts("os/child: not root: a change of identity is not tried");
        return;
    }
    plan.set_identity = true;
    plan.uid = plan.gid = 12345;
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("file"), .fd = -1};
    ck_assert_int_eq(chmod(stand.dir, 0700), 0); // root's alone
    expect_failure(STAGE_CWD, EACCES);
    ck_assert_int_eq(chmod(stand.dir, 0755), 0);
    expect_failure(STAGE_STDIO, EACCES);
    ck_assert_int_eq(chmod(stand.dir, 0777), 0);
    stand_argv(&plan, TEST_CHILD, "exit");
    ck_assert_int_eq(run() & 0x7f, 0);
    ck_assert_int_eq(stat(in_dir("file"), &st), 0);
    ck_assert_int_eq(st.st_uid, 12345);
    ck_assert_int_eq(st.st_gid, 12345);
}
END_TEST

START_TEST(a_name_is_searched_in_the_jobs_final_path) {
    char variable[160];
    setenv("PATH", "/nowhere", 1);
    snprintf(variable, sizeof(variable), "PATH=/nowhere:/dev/null:%s", stand.dir);
    stand_env(&plan, variable);
    stand_argv(&plan, "file", "x");
    expect_failure(STAGE_EXEC, ENOENT);
    program_make(in_dir("file"), 0755, "#!/bin/sh\nexit 0\n");
    expect_success();
}
END_TEST

START_TEST(an_empty_path_element_is_the_jobs_cwd) {
    stand_env(&plan, "PATH=/nowhere:");
    stand_argv(&plan, "file", NULL);
    program_make(in_dir("file"), 0755, "#!/bin/sh\nexit 0\n");
    expect_success();
}
END_TEST

// What is denied is told only where nothing later could be had; a directory is denied.
START_TEST(a_denied_candidate_does_not_end_the_search) {
    char variable[160];
    snprintf(variable, sizeof(variable), "PATH=%s:/nowhere", stand.dir);
    stand_env(&plan, variable);
    ck_assert_int_eq(mkdir(in_dir("file"), 0755), 0);
    stand_argv(&plan, "file", NULL);
    expect_failure(STAGE_EXEC, EACCES);
    ck_assert_int_eq(rmdir(in_dir("file")), 0);
    program_make(in_dir("file"), 0755, "#!/bin/sh\nexit 0\n");
    snprintf(variable, sizeof(variable), "PATH=%s/denied:%s", stand.dir, stand.dir);
    stand_env(&plan, variable);
    snprintf(variable, sizeof(variable), "%s/denied", stand.dir);
    ck_assert_int_eq(mkdir(variable, 0777), 0);
    snprintf(variable, sizeof(variable), "%s/denied/file", stand.dir);
    ck_assert_int_eq(mkdir(variable, 0777), 0);
    stand_argv(&plan, "file", NULL);
    expect_success();
    ck_assert_int_eq(rmdir(variable), 0);
    ck_assert_int_eq(rmdir(in_dir("denied")), 0);
}
END_TEST

START_TEST(what_cannot_be_executed_says_why) {
    program_make(in_dir("file"), 0755, "no program, and no interpreter\n");
    stand_argv(&plan, in_dir("file"), NULL);
    expect_failure(STAGE_EXEC, ENOEXEC);
    stand_argv(&plan, "/dev/null/program", NULL);
    expect_failure(STAGE_EXEC, ENOTDIR);
    stand_argv(&plan, "", NULL);
    expect_failure(STAGE_EXEC, ENOENT);
    stand_argv(&plan, stand.dir, NULL);
    expect_failure(STAGE_EXEC, EACCES);
}
END_TEST

START_TEST(nothing_of_the_daemons_signals_is_inherited) {
    sigset_t all;
    sigfillset(&all);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, NULL);
    child_setup_signals(&stand.setup); // whatever else whoever runs this test ignores
    stand_argv(&plan, TEST_CHILD, "sigs");
    expect_success();
    const char *text = stand_output(&stand);
    ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "SigIgn:\t0000000000000000\n") != NULL, "%s", text);
}
END_TEST

START_TEST(a_doomed_leader_ends_before_it_does_anything) {
    plan.out = (struct plan_stream){.kind = PLAN_FILE, .path = strdup("file"), .fd = -1};
    *stand.report = (struct child_report){.doomed = true};
    pid_t pid = fork();
    if (pid == 0)
        child_run(&plan, &stand.setup, stand.report);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_int_eq(access(in_dir("file"), F_OK), -1);
    ck_assert_int_eq(stand.report->stage, STAGE_NONE);
}
END_TEST

// A pipe of another job that were held here would keep that job from ending.
START_TEST(only_slots_and_standard_descriptors_are_left_in_a_table_of_its_own) {
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC), high = fcntl(low, F_DUPFD_CLOEXEC, 300), status;
    int below = stand.setup.slots[SLOT_IN]; // from here on another launcher's
    for (int s = 0; s < SLOT_COUNT; s++)
        stand.setup.slots[s] = dup3(stand.null, 200 + s, O_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        int wrong = child_isolate(&stand.setup) != 0;
        for (int fd = 0; fd < 400; fd++)
            wrong += (fcntl(fd, F_GETFD) >= 0) != (fd < 3 || (fd >= 200 && fd < 200 + SLOT_COUNT));
        _exit(wrong);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert(fcntl(low, F_GETFD) >= 0 && fcntl(high, F_GETFD) >= 0 && fcntl(below, F_GETFD) >= 0);
}
END_TEST

START_TEST(the_program_has_three_descriptors_and_a_session) {
    int pid, sid, pgid;
    stand_argv(&plan, TEST_CHILD, "fds");
    expect_success();
    const char *text = stand_output(&stand);
    ck_assert_msg(strncmp(text, "0 /dev/null\n1 ", 14) == 0, "%s", text);
    int lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    ck_assert_msg(lines == 3, "%s", text);
    ck_assert_int_eq(ftruncate(stand.output, 0), 0);
    lseek(stand.output, 0, SEEK_SET);
    stand_argv(&plan, TEST_CHILD, "ids");
    expect_success();
    ck_assert_int_eq(sscanf(stand_output(&stand), "pid %d\nsid %d\npgid %d\n", &pid, &sid, &pgid), 3);
    ck_assert_int_eq(sid, pid);
    ck_assert_int_eq(pgid, pid);
}
END_TEST

START_TEST(nice_umask_and_cwd_are_the_jobs) {
    char expected[128];
    plan.set_nice = true;
    plan.nice = 7;
    plan.umask = 051;
    stand_argv(&plan, TEST_CHILD, "nice");
    expect_success();
    stand_argv(&plan, TEST_CHILD, "umask");
    expect_success();
    stand_argv(&plan, TEST_CHILD, "cwd");
    expect_success();
    snprintf(expected, sizeof(expected), "7\n051\n%s\n", stand.dir);
    ck_assert_str_eq(stand_output(&stand), expected);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/child");
    TCase *steps = suite_case(suite, "steps", setup, teardown);
    tcase_add_test(steps, the_first_wrong_step_is_the_one_told);
    tcase_add_test(steps, limits_are_refused_as_limits);
    tcase_add_test(steps, a_lost_slot_is_stdio);
    tcase_add_test(steps, a_relative_file_is_in_the_cwd_and_has_the_umask);
    tcase_add_test(steps, a_file_is_replaced_or_appended_to);
    tcase_add_test(steps, stderr_can_be_the_same_file_as_stdout);
    tcase_add_test(steps, identity_comes_before_cwd_and_files);
    TCase *exec = suite_case(suite, "exec", setup, teardown);
    tcase_add_test(exec, a_name_is_searched_in_the_jobs_final_path);
    tcase_add_test(exec, an_empty_path_element_is_the_jobs_cwd);
    tcase_add_test(exec, a_denied_candidate_does_not_end_the_search);
    tcase_add_test(exec, what_cannot_be_executed_says_why);
    TCase *inherited = suite_case(suite, "inherited", setup, teardown);
    tcase_add_test(inherited, nothing_of_the_daemons_signals_is_inherited);
    tcase_add_test(inherited, a_doomed_leader_ends_before_it_does_anything);
    tcase_add_test(inherited, only_slots_and_standard_descriptors_are_left_in_a_table_of_its_own);
    tcase_add_test(inherited, the_program_has_three_descriptors_and_a_session);
    tcase_add_test(inherited, nice_umask_and_cwd_are_the_jobs);
    return suite_run(suite);
}
