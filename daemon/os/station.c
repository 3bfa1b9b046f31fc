// Plans become leaders here, one at a time a station.
#include "daemon/os/station.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "common/util.h"
#include "daemon/os/pty.h"
#include "daemon/os/slots.h"
#include "daemon/os/spawn.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

enum { DOOM_MOST = 256 }; // processes that are killed with a reaper to be
enum { CHILD_STACK = 32768, GUARD = 4096, REPORT_SIZE = 4096, STACKS_SIZE = 2 * (GUARD + CHILD_STACK) };

int station_open(struct station *st, enum spawn_way way, const struct child_setup *setup, int null, int dumpable) {
    *st = (struct station){.way = way, .null = null, .dumpable = dumpable, .setup = *setup};
    void *report = mmap(NULL, REPORT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return -errno;
    st->report = st->own = report;
    void *stacks = mmap(NULL, STACKS_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    int r = stacks == MAP_FAILED ? -errno : 0;
    if (r == 0)
        st->stacks = stacks;
    for (int i = 0; i < 2 && r == 0; i++)
        if (mprotect(st->stacks + GUARD + (size_t)i * (GUARD + CHILD_STACK), CHILD_STACK, PROT_READ | PROT_WRITE) < 0)
            r = -errno;
    if (r < 0)
        station_close(st);
    return r;
}

void station_close(struct station *st) {
    if (st->own)
        munmap(st->own, REPORT_SIZE);
    if (st->stacks)
        munmap(st->stacks, STACKS_SIZE);
    *st = (struct station){0};
}

void station_clear(struct station *st, const struct launch *launch) {
    st->report = launch->record ? &launch->record->report : st->own;
    *st->report = (struct child_report){.stage = STAGE_NONE};
}

void station_doom(struct station *st) {
    st->report->doomed = true;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    pid_t leader = st->report->leader;
    if (leader > 0)
        kill(leader, SIGKILL);
    // A reaper to be that somebody has stopped would not see its leader's end. Nor does one whom a process of its user holds by
    // ptrace(2), before it is supd-reaper: that goes as if it had been killed then, and first those of its tree, who may hold
    // it even in its end.
    pid_t holder = st->report->holder;
    if (holder <= 0)
        return;
    bool is_held = sweep_state(holder) == 't';
    if (is_held)
        sweep_kill_some(holder, DOOM_MOST);
    kill(holder, is_held ? SIGKILL : SIGCONT);
}

// As a pipe of the user's own would be: /dev/stdout and the like open it anew by its inode, whose owner is who made it.
static int own_pipe(const struct plan *plan, int fd) {
    return plan->set_identity && fchown(fd, plan->uid, plan->gid) < 0 ? -errno : 0;
}

static int stream_lay(const struct station *st, const struct plan *plan, const struct plan_stream *stream, int slot,
                      int *ret_reader) {
    if (stream->kind == PLAN_FD)
        return slot_lay(slot, stream->fd, st->null);
    if (stream->kind != PLAN_CAPTURE)
        return 0; // /dev/null is there; the rest is laid by the child
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : own_pipe(plan, ends[1]);
    if (r == 0)
        r = slot_lay(slot, ends[1], st->null);
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    *ret_reader = ends[0];
    return 0;
}

// As grantpt(3) leaves it to a user: theirs, and of the group that may write to it, which devpts has set.
static int pty_own(int slave, const struct plan *plan) {
    return plan->set_identity && fchown(slave, plan->uid, (gid_t)-1) < 0 ? -errno : 0;
}

static int pty_lay(const struct station *st, struct launch *launch, const int *slots) {
    int slave;
    int master = pty_open(launch->plan.rows, launch->plan.cols, &slave);
    if (master < 0) {
        st->report->stage = STAGE_STDIO;
        return master;
    }
    int r = pty_own(slave, &launch->plan);
    for (int s = SLOT_IN; s <= SLOT_ERR && r == 0; s++)
        r = slot_lay(slots[s], slave, st->null);
    close(slave);
    launch->out_fd = master;
    return r;
}

static int launch_lay(const struct station *st, struct launch *launch, const int *slots) {
    struct plan *plan = &launch->plan;
    if (plan->out.kind == PLAN_PTY)
        return pty_lay(st, launch, slots);
    int r = plan->stdin_fd >= 0 && plan->stdin_is_ours ? own_pipe(plan, plan->stdin_fd) : 0;
    if (r == 0 && plan->stdin_fd >= 0)
        r = slot_lay(slots[SLOT_IN], plan->stdin_fd, st->null);
    if (r == 0)
        r = stream_lay(st, plan, &plan->out, slots[SLOT_OUT], &launch->out_fd);
    if (r == 0)
        r = stream_lay(st, plan, &plan->err, slots[SLOT_ERR], &launch->err_fd);
    return r;
}

// A slot that kept a pipe's writing end would keep the pipe from ending.
static void launch_clear(const struct station *st, const struct launch *launch, const int *slots,
                         const struct tree_launch *tree) {
    const struct plan *plan = &launch->plan;
    bool pty = plan->out.kind == PLAN_PTY;
    if (plan->stdin_fd >= 0 || pty)
        slot_lay(slots[SLOT_IN], -1, st->null);
    if (plan->out.kind == PLAN_CAPTURE || plan->out.kind == PLAN_FD || pty)
        slot_lay(slots[SLOT_OUT], -1, st->null);
    if (plan->err.kind == PLAN_CAPTURE || plan->err.kind == PLAN_FD || pty)
        slot_lay(slots[SLOT_ERR], -1, st->null);
    if (tree->control >= 0)
        slot_lay(slots[SLOT_CONTROL], -1, st->null);
    if (tree->program >= 0 || tree->join >= 0)
        slot_lay(slots[SLOT_PROGRAM], -1, st->null);
}

// What the next worker needs if this one dies before the launch is over.
static void launch_note(const struct launch *launch) {
    struct launch_record *record = launch->record;
    record->out_fd = MAX(launch->out_fd, 0);
    record->err_fd = MAX(launch->err_fd, 0);
    record->control = MAX(tree_control(launch->tree), 0);
    record->started_mono = launch->started_mono;
    record->started_wall = launch->started_wall;
}

// Where fs.suid_dumpable is 1 (proc(5)) a change of user opens the memory for a moment, to whoever may trace another child of
// theirs that shares it: then none must share ours.
static enum spawn_way launch_way(const struct station *st, const struct plan *plan) {
    char value = '0';
    if (!plan->set_identity || plan->uid == 0 || st->dumpable < 0)
        return st->way;
    return pread(st->dumpable, &value, 1, 0) == 1 && value == '1' ? SPAWN_PLAIN : st->way;
}

static int launch_spawn(struct station *st, struct launch *launch, struct tree_launch *tree) {
    struct child_setup setup = st->setup;
    enum spawn_way way = launch_way(st, &launch->plan);
    struct spawn spawn = {
        .way = way,
        .plan = &launch->plan,
        .setup = &setup,
        .report = st->report,
        .stacks = {st->stacks + GUARD + CHILD_STACK, st->stacks + STACKS_SIZE},
        .cgroup = way == SPAWN_FAST ? tree->cgroup : -1,
        .reaper = tree->control >= 0,
        .policy = tree->policy,
    };
    int r = launch_lay(st, launch, setup.slots);
    if (r == 0 && tree->control >= 0)
        r = slot_lay(setup.slots[SLOT_CONTROL], tree->control, st->null);
    if (r == 0 && tree->program >= 0)
        r = slot_lay(setup.slots[SLOT_PROGRAM], tree->program, st->null);
    if (r == 0 && tree->cgroup >= 0 && spawn.cgroup < 0) {
        tree->join = tree_launch_join(tree);
        setup.join = true;
        r = tree->join < 0 ? tree->join : slot_lay(setup.slots[SLOT_PROGRAM], tree->join, st->null);
    }
    double begun = now_mono();
    __atomic_store(&launch->started_mono, &begun, __ATOMIC_RELEASE);
    launch->started_wall = now_wall();
    int own_pidfd = 0, *pidfd = launch->record ? &launch->record->pidfd : &own_pidfd;
    if (launch->record)
        launch_note(launch);
    if (r == 0)
        r = spawn_run(&spawn, pidfd);
    if (r == 0 && *pidfd > 0)
        tree->pidfd = *pidfd;
    launch_clear(st, launch, setup.slots, tree);
    return r;
}

void station_make(struct station *st, struct launch *launch) {
    struct tree_launch tree = TREE_LAUNCH_INIT;
    int r = tree_prepare(launch->tree, &tree);
    if (r == 0)
        r = launch_spawn(st, launch, &tree);
    const enum launch_stage stage = st->report->stage;
    launch->plan.stage = r == 0 ? STAGE_NONE : stage != STAGE_NONE ? stage : STAGE_RESOURCES;
    launch->plan.error = -r;
    if (r == 0) {
        launch->pid = st->report->leader;
        tree_launched(launch->tree, &tree, launch->pid, st->report->holder);
    } else {
        if (launch->record)
            launch->record->out_fd = launch->record->err_fd = launch->record->pidfd = 0;
        launch->out_fd = fd_close(launch->out_fd);
        launch->err_fd = fd_close(launch->err_fd);
    }
    tree_launch_done(&tree);
}
