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
    if (child_isolate(spawn->setup) == 0) { // else the table is still the daemon's
        spawn->report->holder_isolated = true;
        // The control socket may stand in slot 3 itself, and dup3 refuses one onto itself.
        int control = (int)syscall(SYS_fcntl, slots[SLOT_CONTROL], F_DUPFD, REAPER_CONTROL_FD + 1);
        int program = (int)syscall(SYS_fcntl, slots[SLOT_PROGRAM], F_DUPFD_CLOEXEC, REAPER_CONTROL_FD + 1);
        if (control >= 0 && program >= 0 && syscall(SYS_dup3, control, REAPER_CONTROL_FD, 0) >= 0)
            syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    }
    // Without its reaper the tree is held by nothing: better no leader than a loose one.
    spawn->report->error = errno;
    spawn->report->stage = STAGE_RESOURCES;
    syscall(SYS_kill, leader, SIGKILL);
    spawn->report->leader = 0; // the number is anybody's from here on
    syscall(SYS_wait4, leader, NULL, 0, NULL);
    for (;;)
        syscall(SYS_exit_group, 127);
}

// A copy of the calling process goes on in `run`. Comes back when that has exec'ed or ended, which is when nobody
// holds the pipe any more. Not libc's fork: what that does in a child of threads is more than system calls.
CHILD static long clone_plain(struct spawn *spawn, volatile pid_t *pid, void (*run)(void *)) {
    int ends[2];
    char byte;
    if (syscall(SYS_pipe2, ends, O_CLOEXEC) < 0)
        return -errno;
    long child = syscall(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID, 0, pid, 0, 0);
    int error = errno;
    if (child == 0) {
        syscall(SYS_dup3, ends[1], spawn->setup->slots[SLOT_EXEC], O_CLOEXEC);
        run(spawn);
    }
    syscall(SYS_close, ends[1]);
    while (child > 0 && syscall(SYS_read, ends[0], &byte, 1ul) < 0 && errno == EINTR)
        ;
    syscall(SYS_close, ends[0]);
    return child < 0 ? -error : child;
}

CHILD static long leader_clone(struct spawn *spawn) {
    if (spawn->way == SPAWN_PLAIN)
        return clone_plain(spawn, &spawn->report->leader, leader_main);
    struct clone_args args = clone_fast(spawn->stacks[1], &spawn->report->leader);
    return clone_call(&args, leader_main, spawn);
}

CHILD static void holder_main(void *data) {
    struct spawn *spawn = data;
    struct child_report *report = spawn->report;
    // A copy of the daemon's table: nothing of it may stay open while the leader begins.
    int r = spawn->way == SPAWN_PLAIN ? child_isolate(spawn->setup) : 0;
    syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    long leader = r < 0 ? r : leader_clone(spawn);
    if (leader < 0) {
        report->error = (int)-leader;
        report->stage = STAGE_RESOURCES;
    }
    if (report->stage != STAGE_NONE) {
        report->leader = 0; // the number is anybody's from here on
        if (leader > 0)
            syscall(SYS_wait4, leader, NULL, 0, NULL);
        for (;;)
            syscall(SYS_exit_group, 127);
    }
    reaper_become(spawn, (pid_t)leader);
}

static long spawn_fast(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    struct clone_args args = clone_fast(spawn->stacks[0], spawn->reaper ? &report->holder : &report->leader);
    if (!spawn->reaper) {
        args.flags |= CLONE_PIDFD;
        args.pidfd = (uintptr_t)ret_pidfd;
    }
    if (spawn->cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)spawn->cgroup;
    }
    return clone_call(&args, spawn->reaper ? holder_main : leader_main, spawn);
}

static long spawn_plain(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    if (spawn->reaper)
        return clone_plain(spawn, &report->holder, holder_main);
    long child = clone_plain(spawn, &report->leader, leader_main);
    if (child <= 0 || report->stage != STAGE_NONE)
        return child;
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    *ret_pidfd = MAX(pidfd, 0);
    if (pidfd < 0) { // nobody would learn of its end
        report->error = errno;
        report->stage = STAGE_RESOURCES;
        kill((pid_t)child, SIGKILL);
    }
    return child;
}

int spawn_run(struct spawn *spawn, int *ret_pidfd) {
    struct child_report *report = spawn->report;
    *ret_pidfd = 0;
    long child = spawn->way == SPAWN_FAST ? spawn_fast(spawn, ret_pidfd) : spawn_plain(spawn, ret_pidfd);
    if (child < 0) {
        report->error = (int)-child;
        report->stage = STAGE_RESOURCES;
        return (int)child;
    }
    if (report->stage == STAGE_NONE && report->leader <= 0) { // what should have been its reaper was killed before it
        report->error = ECHILD;
        report->stage = STAGE_RESOURCES;
    }
    if (report->stage == STAGE_NONE)
        return 0;
    int pidfd = *ret_pidfd;
    *ret_pidfd = 0;
    if (pidfd > 0)
        fd_close(pidfd);
    report->leader = report->holder = 0;                         // the numbers are anybody's from here on
    while (waitpid((pid_t)child, NULL, 0) < 0 && errno == EINTR) // it has exited, or is about to
        ;
    return -report->error;
}
