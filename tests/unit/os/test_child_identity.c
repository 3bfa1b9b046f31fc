// child: nobody of the user whom it becomes may look into it on the way, whatever fs.suid_dumpable says.
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "tests/unit/os/stand.h"
#include "tests/unit/suite.h"

enum { USER = 12345, OPENED = 1, DENIED, OTHERWISE };

static struct stand stand;
static struct plan plan;

// What the child's calls found, in memory that it shares with us.
static struct seen {
    int changes, closed; // calls of setresuid; of PR_SET_DUMPABLE with 0, after how many of them
    int probed[4];       // after each change
    bool reached[4];     // likewise: by a signal of the user's
    bool kept;           // the last change left the memory as it was
    uid_t ids[3];        // at the end of them
} * seen;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static void dumpable_set(int value) {
    __real_syscall(SYS_prctl, PR_SET_DUMPABLE, value, 0, 0, 0);
}

// Whether another process of the user may look into this one: what is asked for that is the same as for tracing it.
static int probe(void) {
    char path[64];
    int status;
    const pid_t whom = getpid();
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)whom);
    pid_t pid = fork();
    if (pid == 0) {
        int r = __real_syscall(SYS_setresuid, USER, USER, USER) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        seen->reached[seen->changes] = kill(whom, 0) == 0;
        _exit(r >= 0 ? OPENED : errno == EACCES || errno == EPERM ? DENIED : OTHERWISE);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : OTHERWISE;
}

// As the kernel does it where fs.suid_dumpable is 1: a change opens the memory. Of a later one, before which it is open
// here, we see whether the kernel touches it at all.
static long change(uid_t real, uid_t effective, uid_t saved) {
    bool first = seen->changes == 0;
    if (!first)
        dumpable_set(1);
    long r = __real_syscall(SYS_setresuid, real, effective, saved);
    int error = errno;
    if (!first)
        seen->kept = __real_syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    dumpable_set(1);
    seen->probed[seen->changes] = probe();
    seen->changes++;
    if (!first)
        dumpable_set(0);
    getresuid(&seen->ids[0], &seen->ids[1], &seen->ids[2]);
    errno = error;
    return r;
}

long __wrap_syscall(long number, ...) {
    va_list args;
    long a[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_setresuid)
        return change((uid_t)a[0], (uid_t)a[1], (uid_t)a[2]);
    if (number == SYS_prctl && (int)a[0] == PR_SET_DUMPABLE && (int)a[1] == 0)
        seen->closed = seen->changes;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void setup(void) {
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(seen != MAP_FAILED);
    stand_open(&stand);
    stand_plan(&stand, &plan, "exit");
    plan.set_identity = true;
    plan.uid = plan.gid = USER;
    stand_argv(&plan, "/bin/true", NULL);
}

static void teardown(void) {
    plan_done(&plan);
    stand_close(&stand);
    munmap(seen, sizeof(*seen));
}

static void run(void) {
    int status;
    *stand.report = (struct child_report){.stage = STAGE_NONE};
    pid_t pid = fork();
    if (pid == 0)
        child_run(&plan, &stand.setup, stand.report);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(stand.report->stage, STAGE_NONE);
    ck_assert_int_eq(status, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(seen->ids[i], USER);
}

START_TEST(the_daemons_memory_is_never_open_to_its_user) {
    if (geteuid() != 0) {
        puts("os/child_identity: not root: a change of identity is not tried");
        return;
    }
    run();
    ck_assert_int_eq(seen->changes, 2);
    ck_assert_int_eq(seen->probed[0], DENIED);
    ck_assert(!seen->reached[0]); // one that the kernel would dump then is out of their reach
    ck_assert_int_eq(seen->closed, 1);
    ck_assert(seen->kept);
    ck_assert_int_eq(seen->probed[1], OPENED); // which the kernel has not made so: were it open, it would be seen here
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/child_identity");
    TCase *group = suite_case(suite, "identity", setup, teardown);
    tcase_add_test(group, the_daemons_memory_is_never_open_to_its_user);
    return suite_run(suite);
}
