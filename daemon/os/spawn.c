// The two ways to start a leader.
#include "daemon/os/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"

#define CHILD __attribute__((no_sanitize("address", "undefined", "thread")))

enum { SPAWN_STACK = 32768, REAPER_CONTROL_FD = 3 };

// clone3 gives the child the stack asked for, so it cannot return from here as fork does: it calls `run`.
CHILD __attribute__((noinline)) static long clone_call(struct clone_args *args, void (*run)(void *), void *data) {
    long result;
#if defined(__x86_64__)
    register void (*run_at)(void *) __asm__("r8") = run;
    register void *data_at __asm__("r9") = data;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(run_at), "r"(data_at)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof(*args);
    register void (*run_at)(void *) __asm__("x10") = run;
    register void *data_at __asm__("x11") = data;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x11\n\t"
                     "blr x10\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(run_at), "r"(data_at)
                     : "memory");
    result = x0;
#else
    result = -ENOSYS;
#endif
    return result;
}

CHILD static void leader_main(void *data) {
    const struct spawn *spawn = data;
    child_run(spawn->plan, spawn->setup, spawn->report);
}

static struct clone_args clone_fast(char *stack, volatile pid_t *pid) {
    return (struct clone_args){
        .flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PARENT_SETTID,
        .parent_tid = (uintptr_t)pid,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)(stack - SPAWN_STACK),
        .stack_size = SPAWN_STACK,
    };
}

// The process between the daemon and the leader turns into supd-reaper once the leader is on its way.
CHILD static _Noreturn void reaper_become(const struct spawn *spawn, pid_t leader) {
    const int *slots = spawn->setup->slots;
    char number[16], *end = number + sizeof(number) - 1;
    *end = 0;
    for (pid_t n = leader; n > 0; n /= 10)
        *--end = (char)('0' + n % 10);
    const char *argv[] = {"supd-reaper", end, spawn->policy, NULL};
    const char *envp[] = {NULL};
    syscall(SYS_close_range, slots[SLOT_COUNT - 1] + 1, ~0U, CLOSE_RANGE_UNSHARE);
    // The control socket may stand in slot 3 itself, and dup2 onto oneself would keep CLOEXEC.
    int control = (int)syscall(SYS_fcntl, slots[SLOT_CONTROL], F_DUPFD, REAPER_CONTROL_FD + 1);
    int program = (int)syscall(SYS_fcntl, slots[SLOT_PROGRAM], F_DUPFD_CLOEXEC, REAPER_CONTROL_FD + 1);
    syscall(SYS_dup2, control, REAPER_CONTROL_FD);
    syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    // Without its reaper the tree is held by nothing: better no leader than a loose one.
    spawn->report->error = errno;
    spawn->report->stage = STAGE_RESOURCES;
    syscall(SYS_kill, leader, SIGKILL);
    for (;;)
        syscall(SYS_exit_group, 127);
}

CHILD static void holder_main(void *data) {
    struct spawn *spawn = data;
    struct child_report *report = spawn->report;
    syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    struct clone_args args = clone_fast(spawn->stacks[1], &report->leader);
    long leader = clone_call(&args, leader_main, spawn);
    if (leader < 0) {
        report->error = (int)-leader;
        report->stage = STAGE_RESOURCES;
    }
    if (report->stage != STAGE_NONE) {
        if (leader > 0)
            syscall(SYS_wait4, leader, NULL, 0, NULL);
        for (;;)
            syscall(SYS_exit_group, 127);
    }
    reaper_become(spawn, (pid_t)leader);
}

// A failed child has exited, or is about to.
static int spawn_failed(const struct child_report *report, pid_t child) {
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return -report->error;
}

static int spawn_fast(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    int pidfd = -1;
    struct clone_args args = clone_fast(spawn->stacks[0], spawn->reaper ? &report->holder : &report->leader);
    if (!spawn->reaper) {
        args.flags |= CLONE_PIDFD;
        args.pidfd = (uintptr_t)&pidfd;
    }
    if (spawn->cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)spawn->cgroup;
    }
    long child = clone_call(&args, spawn->reaper ? holder_main : leader_main, spawn);
    if (child < 0) {
        report->error = (int)-child;
        report->stage = STAGE_RESOURCES;
        return (int)child;
    }
    if (report->stage != STAGE_NONE) {
        fd_close(pidfd);
        return spawn_failed(report, (pid_t)child);
    }
    *ret_pidfd = pidfd;
    return 0;
}

// Waits until nobody has the writing end any more: the exec closed it, or the exit.
static void wait_exec(int fd) {
    char byte;
    while (read(fd, &byte, 1) < 0 && errno == EINTR)
        ;
}

static _Noreturn void plain_holder(struct spawn *spawn) {
    struct child_report *report = spawn->report;
    int ends[2];
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t leader = pipe2(ends, O_CLOEXEC) < 0 ? -1 : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (leader == 0)
        child_run(spawn->plan, spawn->setup, report);
    if (leader < 0) {
        report->error = errno;
        report->stage = STAGE_RESOURCES;
        _exit(127);
    }
    report->leader = leader;
    close(ends[1]);
    wait_exec(ends[0]);
    if (report->stage != STAGE_NONE) {
        waitpid(leader, NULL, 0);
        _exit(127);
    }
    reaper_become(spawn, leader);
}

static int spawn_plain(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        report->error = errno;
        report->stage = STAGE_RESOURCES;
        return -errno;
    }
    pid_t child = fork();
    if (child == 0 && spawn->reaper)
        plain_holder(spawn);
    if (child == 0)
        child_run(spawn->plan, spawn->setup, report);
    close(ends[1]);
    if (child < 0) {
        report->error = errno;
        report->stage = STAGE_RESOURCES;
        close(ends[0]);
        return -report->error;
    }
    if (spawn->reaper)
        report->holder = child;
    else
        report->leader = child;
    wait_exec(ends[0]);
    close(ends[0]);
    if (report->stage != STAGE_NONE)
        return spawn_failed(report, child);
    *ret_pidfd = spawn->reaper ? -1 : (int)syscall(SYS_pidfd_open, child, 0);
    return 0;
}

int spawn_run(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    report->stage = STAGE_NONE;
    report->error = 0;
    report->leader = report->holder = 0;
    return spawn->way == SPAWN_FAST ? spawn_fast(spawn, ret_pidfd) : spawn_plain(spawn, ret_pidfd);
}
