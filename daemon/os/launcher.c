// Launcher threads, their queue, and what they hand back.
#include "daemon/os/launcher.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/os/slots.h"
#include "daemon/os/spawn.h"
#include "daemon/os/tree_internal.h"

enum { LAUNCH_IDLE, LAUNCH_QUEUED, LAUNCH_UNDER_WAY, LAUNCH_OVER };
enum { THREAD_STACK = 65536, CHILD_STACK = 32768, GUARD = 4096 };
#define LAUNCHER_STUCK 0.02 // a launch that takes longer than this does not count on for the next one

struct station {
    struct launcher *launcher;
    pthread_t thread;
    bool started;
    int index;
    struct launch *current; // under the lock
    double since;
    struct child_report *report; // shared memory
    char *stacks;                // mapping: guard, stack, guard, stack
};

struct launcher {
    struct ev_loop *loop;
    enum spawn_way way;
    int normal, most; // threads: in normal times, and when some are stuck
    struct station stations[SLOTS_LAUNCHERS];
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT];
    struct child_setup setup; // common part
    bool setup_done;
    int null;
    struct ev_async ready;
    struct ev_timer stuck; // only while something waits and everybody is busy
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct launch *queue, *over; // lists
    size_t queued, idle, threads;
    bool leaving;
};

void launch_init(struct launch *launch) {
    *launch = (struct launch){.out_fd = -1, .err_fd = -1};
    plan_init(&launch->plan);
}

void launch_done(struct launch *launch) {
    plan_done(&launch->plan);
    launch->out_fd = fd_close(launch->out_fd);
    launch->err_fd = fd_close(launch->err_fd);
}

static int stream_lay(struct launcher *l, const struct plan_stream *stream, int slot, int *ret_reader) {
    if (stream->kind == PLAN_FD)
        return slot_lay(slot, stream->fd, l->null);
    if (stream->kind != PLAN_CAPTURE)
        return 0; // /dev/null is there; the rest is laid by the child
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : slot_lay(slot, ends[1], l->null);
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    *ret_reader = ends[0];
    return 0;
}

static int launch_lay(struct launcher *l, struct launch *launch, const int *slots) {
    struct plan *plan = &launch->plan;
    int r = plan->stdin_fd >= 0 ? slot_lay(slots[SLOT_IN], plan->stdin_fd, l->null) : 0;
    if (r == 0)
        r = stream_lay(l, &plan->out, slots[SLOT_OUT], &launch->out_fd);
    if (r == 0)
        r = stream_lay(l, &plan->err, slots[SLOT_ERR], &launch->err_fd);
    return r;
}

// A slot that kept a pipe's writing end would keep the pipe from ending.
static void launch_clear(struct launcher *l, const struct launch *launch, const int *slots, const struct tree_launch *tree) {
    const struct plan *plan = &launch->plan;
    if (plan->stdin_fd >= 0)
        slot_lay(slots[SLOT_IN], -1, l->null);
    if (plan->out.kind == PLAN_CAPTURE || plan->out.kind == PLAN_FD)
        slot_lay(slots[SLOT_OUT], -1, l->null);
    if (plan->err.kind == PLAN_CAPTURE || plan->err.kind == PLAN_FD)
        slot_lay(slots[SLOT_ERR], -1, l->null);
    if (tree->control >= 0)
        slot_lay(slots[SLOT_CONTROL], -1, l->null);
    if (tree->program >= 0 || tree->join >= 0)
        slot_lay(slots[SLOT_PROGRAM], -1, l->null);
}

static int launch_spawn(struct station *st, struct launch *launch, struct tree_launch *tree) {
    struct launcher *l = st->launcher;
    struct child_setup setup = l->setup;
    memcpy(setup.slots, l->slots[st->index], sizeof(setup.slots));
    struct spawn spawn = {
        .way = l->way,
        .plan = &launch->plan,
        .setup = &setup,
        .report = st->report,
        .stacks = {st->stacks + GUARD + CHILD_STACK, st->stacks + 2 * (GUARD + CHILD_STACK)},
        .cgroup = l->way == SPAWN_FAST ? tree->cgroup : -1,
        .reaper = tree->control >= 0,
        .policy = tree->policy,
    };
    int r = launch_lay(l, launch, setup.slots);
    if (r == 0 && tree->control >= 0)
        r = slot_lay(setup.slots[SLOT_CONTROL], tree->control, l->null);
    if (r == 0 && tree->program >= 0)
        r = slot_lay(setup.slots[SLOT_PROGRAM], tree->program, l->null);
    if (r == 0 && tree->cgroup >= 0 && spawn.cgroup < 0) {
        tree->join = tree_launch_join(tree);
        setup.join = true;
        r = tree->join < 0 ? tree->join : slot_lay(setup.slots[SLOT_PROGRAM], tree->join, l->null);
    }
    double begun = now_mono();
    __atomic_store(&launch->started_mono, &begun, __ATOMIC_RELEASE);
    launch->started_wall = now_wall();
    st->report->stage = r < 0 ? STAGE_RESOURCES : STAGE_NONE;
    st->report->error = -r;
    if (r == 0)
        r = spawn_run(&spawn, &tree->pidfd);
    launch_clear(l, launch, setup.slots, tree);
    return r;
}

static void launch_make(struct station *st, struct launch *launch) {
    struct tree_launch tree = TREE_LAUNCH_INIT;
    int r = tree_prepare(launch->tree, &tree);
    if (r < 0) {
        st->report->stage = STAGE_RESOURCES;
        st->report->error = -r;
    } else {
        r = launch_spawn(st, launch, &tree);
    }
    launch->plan.stage = r < 0 ? (st->report->stage != STAGE_NONE ? st->report->stage : STAGE_RESOURCES) : STAGE_NONE;
    launch->plan.error = r < 0 ? st->report->error : 0;
    if (r == 0) {
        launch->pid = st->report->leader;
        tree_launched(launch->tree, &tree, launch->pid, st->report->holder);
    } else {
        launch->out_fd = fd_close(launch->out_fd);
        launch->err_fd = fd_close(launch->err_fd);
    }
    tree_launch_done(&tree);
}

// Every signal is for the loop's thread; also those that libc keeps for itself, which its own calls leave open.
static void block_all_signals(void) {
    const uint64_t all = ~0ull;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static void *station_main(void *data) {
    struct station *st = data;
    struct launcher *l = st->launcher;
    block_all_signals();
    pthread_mutex_lock(&l->lock);
    for (;;) {
        l->idle++;
        while (!l->queue && !l->leaving)
            pthread_cond_wait(&l->work, &l->lock);
        l->idle--;
        if (l->leaving)
            break;
        struct launch *launch = l->queue;
        LL_DELETE(l->queue, launch);
        l->queued--;
        launch->state = LAUNCH_UNDER_WAY;
        launch->launcher_index = st->index;
        st->report->leader = 0;
        st->current = launch;
        st->since = now_mono();
        pthread_mutex_unlock(&l->lock);
        launch_make(st, launch);
        pthread_mutex_lock(&l->lock);
        st->current = NULL;
        launch->state = LAUNCH_OVER;
        LL_APPEND(l->over, launch);
        ev_async_send(l->loop, &l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int station_start(struct launcher *l, int index) {
    struct station *st = &l->stations[index];
    size_t size = 2 * (GUARD + CHILD_STACK);
    *st = (struct station){.launcher = l, .index = index};
    st->report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    st->stacks = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (st->report == MAP_FAILED || st->stacks == MAP_FAILED)
        return -ENOMEM;
    for (int i = 0; i < 2; i++)
        if (mprotect(st->stacks + GUARD + i * (GUARD + CHILD_STACK), CHILD_STACK, PROT_READ | PROT_WRITE) < 0)
            return -errno;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, MAX((size_t)THREAD_STACK, (size_t)PTHREAD_STACK_MIN * 2));
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&st->thread, &attr, station_main, st);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    st->started = r == 0;
    return r;
}

static void launcher_grow(struct launcher *l) {
    if (l->threads < (size_t)l->most && station_start(l, (int)l->threads) == 0)
        l->threads++;
}

// With everybody busy, another thread is started when the oldest launch is stuck; else it is worth waiting.
static void launcher_balance(struct launcher *l) {
    double oldest = INFINITY, now = now_mono();
    pthread_mutex_lock(&l->lock);
    bool wanting = l->queued > l->idle && l->idle == 0;
    for (size_t i = 0; i < l->threads; i++)
        if (l->stations[i].current)
            oldest = MIN(oldest, l->stations[i].since);
    pthread_mutex_unlock(&l->lock);
    ev_timer_stop(l->loop, &l->stuck);
    if (!wanting || l->threads >= (size_t)l->most)
        return;
    bool stuck = now - oldest >= LAUNCHER_STUCK;
    if (l->threads < (size_t)l->normal || stuck)
        launcher_grow(l);
    else {
        ev_timer_set(&l->stuck, LAUNCHER_STUCK, 0);
        ev_timer_start(l->loop, &l->stuck);
    }
}

static void on_stuck(struct ev_loop *loop, struct ev_timer *timer, int events) {
    launcher_balance(timer->data);
}

static void on_ready(struct ev_loop *loop, struct ev_async *async, int events) {
    struct launcher *l = async->data;
    pthread_mutex_lock(&l->lock);
    struct launch *over = TAKE_PTR(l->over);
    bool waiting = l->queued > 0;
    pthread_mutex_unlock(&l->lock);
    while (over) {
        struct launch *launch = over;
        over = launch->next;
        launch->state = LAUNCH_IDLE;
        if (launch->plan.stage == STAGE_NONE)
            tree_attach(launch->tree);
        launch->done(launch, launch->data);
    }
    if (waiting || ev_is_active(&l->stuck))
        launcher_balance(l);
}

// Handlers and ignored signals are the daemon's; what it has now a child must not inherit.
static void launcher_setup(struct launcher *l) {
    l->setup_done = true;
    for (int n = 1; n <= 64; n++) {
        struct {
            void (*handler)(int);
            unsigned long flags;
            void (*restorer)(void);
            uint64_t mask;
        } now = {0};
        if (n != SIGKILL && n != SIGSTOP && syscall(SYS_rt_sigaction, n, NULL, &now, sizeof(uint64_t)) == 0 &&
            now.handler != SIG_DFL)
            l->setup.ignored |= 1ull << (n - 1);
    }
}

static bool oom_score_set(void) {
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    fd_close(fd);
    return n > 0 && atoi(text) != 0;
}

int launcher_new(struct ev_loop *loop, enum spawn_way way, int threads, struct launcher **ret_launcher) {
    struct launcher *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->loop = loop;
    l->way = way;
    l->normal = threads;
    l->null = -1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    ev_async_init(&l->ready, on_ready);
    ev_timer_init(&l->stuck, on_stuck, LAUNCHER_STUCK, 0);
    l->ready.data = l->stuck.data = l;
    int r = getrlimit(RLIMIT_NOFILE, &l->setup.nofile) < 0 ? -errno : 0;
    // Slots are descriptors too: with few of them to be had, fewer launchers.
    l->most = (int)MIN(MAX(l->setup.nofile.rlim_max / 32, (rlim_t)threads), (rlim_t)SLOTS_LAUNCHERS);
    if (r == 0)
        r = slots_reserve(l->most, l->slots);
    if (r == 0 && (l->null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
        r = -errno;
    l->setup.reset_oom = oom_score_set();
    ev_async_start(loop, &l->ready);
    ev_unref(loop);
    // As many descriptors as may be had; children get back what the daemon was given.
    struct rlimit most = {l->setup.nofile.rlim_max, l->setup.nofile.rlim_max};
    if (r == 0)
        setrlimit(RLIMIT_NOFILE, &most);
    if (r < 0) {
        launcher_free(l);
        return r;
    }
    *ret_launcher = l;
    return 0;
}

void launcher_free(struct launcher *l) {
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->leaving = true;
    for (size_t i = 0; i < l->threads; i++)
        if (l->stations[i].current && l->stations[i].report->leader > 0)
            kill(l->stations[i].report->leader, SIGKILL);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->threads; i++) {
        pthread_join(l->stations[i].thread, NULL);
        munmap(l->stations[i].report, 4096);
        munmap(l->stations[i].stacks, 2 * (GUARD + CHILD_STACK));
    }
    ev_ref(l->loop);
    ev_async_stop(l->loop, &l->ready);
    ev_timer_stop(l->loop, &l->stuck);
    for (int i = 0; i < SLOTS_LAUNCHERS; i++)
        for (int s = 0; s < SLOT_COUNT; s++)
            if (l->slots[i][s] > 2)
                close(l->slots[i][s]);
    fd_close(l->null);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void launcher_submit(struct launcher *l, struct launch *launch) {
    if (!l->setup_done)
        launcher_setup(l);
    pthread_mutex_lock(&l->lock);
    launch->state = LAUNCH_QUEUED;
    launch->next = NULL;
    LL_APPEND(l->queue, launch);
    l->queued++;
    bool short_of = l->queued > l->idle;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    if (short_of && l->threads < (size_t)l->normal)
        launcher_grow(l);
    else if (short_of && !ev_is_active(&l->stuck))
        launcher_balance(l);
}

bool launcher_cancel(struct launcher *l, struct launch *launch) {
    pthread_mutex_lock(&l->lock);
    bool queued = launch->state == LAUNCH_QUEUED;
    if (queued) {
        LL_DELETE(l->queue, launch);
        l->queued--;
        launch->state = LAUNCH_IDLE;
    }
    pthread_mutex_unlock(&l->lock);
    return queued;
}

void launcher_kill(struct launcher *l, struct launch *launch) {
    pthread_mutex_lock(&l->lock);
    // Under way: its child is not reaped before the launcher has taken the lock again, so the pid is its own.
    if (launch->state == LAUNCH_UNDER_WAY) {
        pid_t pid = l->stations[launch->launcher_index].report->leader;
        if (pid > 0)
            kill(pid, SIGKILL);
    }
    pthread_mutex_unlock(&l->lock);
}

enum spawn_way launcher_way(const struct launcher *l) {
    return l->way;
}

size_t launcher_queued(const struct launcher *launcher) {
    struct launcher *l = (struct launcher *)(uintptr_t)launcher;
    pthread_mutex_lock(&l->lock);
    size_t queued = l->queued;
    pthread_mutex_unlock(&l->lock);
    return queued;
}
