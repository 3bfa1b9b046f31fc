// What the daemon has and a child must not inherit.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common/util.h"
#include "daemon/os/child.h"

// Handlers and ignored signals are the daemon's; what it has now a child must not inherit. Nor what it will have: a worker that
// goes on makes launches before it handles these, and a handler would run in the child on the worker's memory.
void child_setup_signals(struct child_setup *setup) {
    setup->ignored |= 1ull << (SIGTERM - 1) | 1ull << (SIGINT - 1) | 1ull << (SIGHUP - 1);
    for (int n = 1; n <= 64; n++) {
        struct {
            void (*handler)(int);
            unsigned long flags;
            void (*restorer)(void);
            uint64_t mask;
        } now = {0};
        if (n != SIGKILL && n != SIGSTOP && syscall(SYS_rt_sigaction, n, NULL, &now, sizeof(uint64_t)) == 0 &&
            now.handler != SIG_DFL)
            setup->ignored |= 1ull << (n - 1);
    }
}

bool child_setup_oom(void) {
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    fd_close(fd);
    return n > 0 && atoi(text) != 0;
}

bool child_setup_schedule(void) {
    long io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
    bool is_usual_io = io <= 0 || io == IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_BE_NORM);
    return sched_getscheduler(0) != SCHED_OTHER || getpriority(PRIO_PROCESS, 0) != 0 || !is_usual_io ||
           prctl(PR_GET_TIMERSLACK) != CHILD_TIMER_SLACK;
}

// What is dumped of a process is as the first one has it, as that depends on how the machine was booted.
void child_setup_memory(void) {
    char filter[32] = "0x"; // it is told without
    _cleanup_close_ int from = open("/proc/1/coredump_filter", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int to = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    ssize_t n = from < 0 || to < 0 ? -1 : read(from, filter + 2, sizeof(filter) - 2);
    if (n > 0)
        syscall(SYS_write, to, filter, (size_t)n + 2);
    personality(PER_LINUX);
    prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

static bool may_raise_limits(void) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &head, caps) == 0 && (caps[0].effective & 1u << CAP_SYS_RESOURCE);
}

// Those that the kernel gives to the first process (getrlimit(2), INIT_RLIMITS), but for descriptors and locked memory, of
// which there are as many as services have today. How many processes a user may have depends on the machine: as the
// first process has it.
static void standard_limits(struct rlimit *limits) {
    struct rlimit processes = {RLIM_INFINITY, RLIM_INFINITY}, signals = processes;
    syscall(SYS_prlimit64, 1, RLIMIT_NPROC, NULL, &processes);
    syscall(SYS_prlimit64, 1, RLIMIT_SIGPENDING, NULL, &signals);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    limits[RLIMIT_STACK].rlim_cur = 8 << 20;
    limits[RLIMIT_CORE].rlim_cur = 0;
    limits[RLIMIT_NPROC] = processes;
    limits[RLIMIT_SIGPENDING] = signals;
    limits[RLIMIT_NOFILE] = (struct rlimit){1024, 524288};
    limits[RLIMIT_MEMLOCK] = (struct rlimit){8 << 20, 8 << 20};
    limits[RLIMIT_MSGQUEUE] = (struct rlimit){819200, 819200};
    limits[RLIMIT_NICE] = limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

int child_setup_limits(struct child_setup *setup, bool standard) {
    bool may_raise = may_raise_limits();
    struct rlimit now[RLIM_NLIMITS] = {{0, 0}};
    for (int i = 0; i < RLIM_NLIMITS; i++)
        if (syscall(SYS_prlimit64, 0, i, NULL, &now[i]) < 0)
            return -errno;
    setup->limits[RLIMIT_NOFILE] = now[RLIMIT_NOFILE]; // the daemon raises its own
    setup->sets_limits = 1u << RLIMIT_NOFILE;
    if (!standard)
        return 0;
    standard_limits(setup->limits);
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit *limit = &setup->limits[i];
        if (!may_raise) // as in a container that took that from its root
            limit->rlim_max = MIN(limit->rlim_max, now[i].rlim_max);
        limit->rlim_cur = MIN(limit->rlim_cur, limit->rlim_max);
        if (limit->rlim_cur != now[i].rlim_cur || limit->rlim_max != now[i].rlim_max)
            setup->sets_limits |= 1u << i;
    }
    return 0;
}

// A session keyring that is ours would be every job's, with what one job puts in it for another to find (keyctl(2),
// session-keyring(7)). So ours becomes one that nobody may use; where there is none jobs have their user's.
static bool keyring_leave(void) {
    long own = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    long user = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_SESSION_KEYRING, 0);
    if (own < 0 || own == user)
        return false;
    long fresh = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    return fresh > 0 && syscall(SYS_keyctl, KEYCTL_SETPERM, fresh, 0) == 0;
}

void child_setup_privileges(struct child_setup *setup, bool shared) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &head, caps) == 0) // there is no ambient one that is not inheritable (capabilities(7))
        setup->drops_caps = caps[0].inheritable || caps[1].inheritable;
    setup->resets_securebits = shared && prctl(PR_GET_SECUREBITS) > 0;
    setup->leaves_keyring = shared && keyring_leave();
}
