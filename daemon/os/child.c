// Between clone and exec.
#include "daemon/os/child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/util.h"

#define CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

// As the kernel wants it: rt_sigaction(2) takes this, not libc's.
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

// sched_setattr(2), which libc knows of late.
struct kernel_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

CHILD static _Noreturn void child_fail(struct child_report *report, enum launch_stage stage, int error) {
    report->error = error;
    report->stage = stage;
    for (;;)
        syscall(SYS_exit_group, 127);
}

CHILD static void child_signals(const struct child_setup *setup) {
    const struct kernel_sigaction standard = {.handler = SIG_DFL};
    for (int n = 1; n <= 64; n++)
        if (setup->ignored & (1ull << (n - 1)))
            syscall(SYS_rt_sigaction, n, &standard, NULL, sizeof(uint64_t));
}

CHILD static void child_limits(const struct plan *plan, const struct child_setup *setup, struct child_report *report) {
    if (setup->reset_oom) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            syscall(SYS_write, fd, "0", 1ul);
        if (fd >= 0)
            syscall(SYS_close, fd);
    }
    syscall(SYS_umask, plan->umask);
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        if ((setup->sets_limits & 1u << i) && syscall(SYS_prlimit64, 0, i, &setup->limits[i], NULL) < 0)
            child_fail(report, STAGE_LIMITS, errno);
    if (setup->resets_schedule) { // who may not raise a priority (as in some containers) may always lower it
        struct kernel_sched_attr standard = {.size = sizeof(standard)};
        syscall(SYS_sched_setattr, 0, &standard, 0);
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0);
        syscall(SYS_prctl, PR_SET_TIMERSLACK, CHILD_TIMER_SLACK, 0, 0, 0); // a real-time process had none to leave
    }
}

// As the job's user, who may have as much as anybody: negative ones are for those whom the kernel lets.
CHILD static void child_nice(const struct plan *plan, struct child_report *report) {
    if (plan->set_nice && syscall(SYS_setpriority, PRIO_PROCESS, 0, plan->nice) < 0)
        child_fail(report, STAGE_NICE, errno);
}

CHILD static void child_own_limits(const struct plan *plan, struct child_report *report) {
    for (int i = 0; i < plan->limit_count; i++) {
        const struct plan_limit *own = &plan->limits[i];
        struct rlimit limit = {own->soft, own->hard};
        long r = syscall(SYS_prlimit64, 0, own->resource, &limit, NULL);
        limit.rlim_max = own->soft; // where no more is to be had
        if (r < 0 && own->hard > own->soft)
            r = syscall(SYS_prlimit64, 0, own->resource, &limit, NULL);
        if (r < 0)
            child_fail(report, own->stage, errno);
    }
}

CHILD static void child_drop_caps(struct child_report *report) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
    syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &head, caps) < 0)
        child_fail(report, STAGE_IDENTITY, errno);
    caps[0].inheritable = caps[1].inheritable = 0;
    if (syscall(SYS_capset, &head, caps) < 0)
        child_fail(report, STAGE_IDENTITY, errno);
}

// With the effective uid the kernel gives the memory, which may be the daemon's own, what fs.suid_dumpable says (proc(5)): 1
// opens it to the user, 2 lets a signal of theirs dump it. With the other two unchanged nobody of them can trace it or signal
// it yet; what then becomes these, too, leaves the memory closed, as neither the effective uid changes nor a capability is gained
// (commit_creds).
CHILD static int child_become(const struct plan *plan) {
    const uid_t uid = plan->uid, same = (uid_t)-1;
    long r = syscall(SYS_setresuid, same, uid, same);
    syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); // of another gid it is by now, whatever became of the uid
    return r < 0 ? -1 : (int)syscall(SYS_setresuid, uid, same, uid);
}

// The raw calls change this process only; libc's would tell all threads of the daemon.
CHILD static void child_identity(const struct plan *plan, const struct child_setup *setup,
                                 struct child_report *report) {
    if (setup->drops_caps)
        child_drop_caps(report);
    if (!plan->set_identity)
        return;
    if (setup->resets_securebits && syscall(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0) < 0)
        child_fail(report, STAGE_IDENTITY, errno);
    if (syscall(SYS_setgroups, plan->group_count, plan->groups) < 0 ||
        syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0 || child_become(plan) < 0)
        child_fail(report, STAGE_IDENTITY, errno);
    if (setup->leaves_keyring) // one of its own; else the daemon's, which child_setup_privileges has made useless
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

CHILD static void child_file(const struct plan_stream *stream, int to, struct child_report *report) {
    if (stream->kind == PLAN_FILE) {
        int flags = O_WRONLY | O_CREAT | O_NOCTTY | (stream->append ? O_APPEND : O_TRUNC);
        int fd = (int)syscall(SYS_openat, AT_FDCWD, stream->path, flags, 0666);
        if (fd < 0 || syscall(SYS_dup3, fd, to, 0) < 0)
            child_fail(report, STAGE_STDIO, errno);
        syscall(SYS_close, fd);
    } else if (stream->kind == PLAN_STDOUT && syscall(SYS_dup3, 1, to, 0) < 0) {
        child_fail(report, STAGE_STDIO, errno);
    }
}

// As execvp(3) but without its fallback to a shell: a candidate that is not there, or not to be had, is passed
// over; of these a denied one is what is told in the end.
CHILD static _Noreturn void child_exec(const struct plan *plan, struct child_report *report) {
    char path[PATH_MAX];
    int error = ENOENT;
    if (!plan->search) {
        syscall(SYS_execve, plan->argv[0], plan->argv, plan->envp);
        child_fail(report, STAGE_EXEC, errno);
    }
    for (const char *search = plan->search; search;) {
        if (!plan_candidate(&search, plan->argv[0], path))
            child_fail(report, STAGE_EXEC, ENAMETOOLONG);
        syscall(SYS_execve, path, plan->argv, plan->envp);
        if (errno == EACCES)
            error = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            child_fail(report, STAGE_EXEC, errno);
    }
    child_fail(report, STAGE_EXEC, error);
}

// The shared table is copied only up to our own slots, however large it is (close_range(2), Linux 5.9). Below them
// stand other launchers' slots: a pipe of another job that is held open here would keep that job from ending.
CHILD int child_isolate(const struct child_setup *setup) {
    const int *slots = setup->slots;
    if (syscall(SYS_close_range, slots[SLOT_COUNT - 1] + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0)
        return -errno;
    for (int s = 0, from = 3; s < SLOT_COUNT; from = slots[s++] + 1)
        if (slots[s] > from)
            syscall(SYS_close_range, from, slots[s] - 1, 0);
    return 0;
}

CHILD _Noreturn void child_run(const struct plan *plan, const struct child_setup *setup, struct child_report *report) {
    const int *slots = setup->slots;
    if (report->doomed)
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    int r = child_isolate(setup);
    if (r < 0)
        child_fail(report, STAGE_RESOURCES, -r);
    report->isolated = true;
    for (int fd = 0; fd < 3; fd++)
        if (syscall(SYS_dup3, slots[SLOT_IN + fd], fd, 0) < 0)
            child_fail(report, STAGE_STDIO, errno);
    if (setup->join && syscall(SYS_write, slots[SLOT_PROGRAM], "0", 1ul) < 0)
        child_fail(report, STAGE_RESOURCES, errno);
    syscall(SYS_setsid);
    if (plan->out.kind == PLAN_PTY && syscall(SYS_ioctl, 0, TIOCSCTTY, 0) < 0)
        child_fail(report, STAGE_STDIO, errno);
    child_limits(plan, setup, report);
    child_identity(plan, setup, report);
    child_nice(plan, report);
    if (syscall(SYS_chdir, plan->cwd) < 0)
        child_fail(report, STAGE_CWD, errno);
    child_file(&plan->out, 1, report);
    child_file(&plan->err, 2, report);
    child_own_limits(plan, report);
    child_signals(setup);
    const uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
    child_exec(plan, report);
}
