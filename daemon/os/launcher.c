// Launcher threads, their queue, and what they hand back.
#include "daemon/os/launcher.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/os/kept.h"
#include "daemon/os/launch_queue.h"
#include "daemon/os/slots.h"
#include "daemon/os/station.h"
#include "daemon/os/tree_internal.h"

enum { LAUNCH_IDLE, LAUNCH_QUEUED, LAUNCH_UNDER_WAY, LAUNCH_OVER };
enum { THREAD_STACK = 65536, LAUNCHER_SHARE = 48 }; // a launcher for so many descriptors
enum { PAUSE_STEP = 200 };                          // microseconds
#define PAUSE_MOST 0.3                              // seconds
#define LAUNCHER_STUCK 0.02 // a launch that takes longer than this does not count on for the next one

struct launcher_thread {
    struct launcher *launcher;
    pthread_t thread;
    int index;
    struct station station;
    // Under the lock:
    struct launch *current;
    double since;
    bool leaving;
};

struct launcher {
    struct ev_loop *loop;
    enum spawn_way way;
    int normal, most; // threads: in normal times, and when some are stuck
    struct launcher_thread threads[SLOTS_LAUNCHERS];
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT];
    struct child_setup setup; // common part
    bool setup_done;
    int null, dumpable;
    struct ev_async ready;
    struct ev_timer stuck; // only while something waits and everybody is busy
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct launch_queue queue;
    struct launch *over; // list
    size_t idle, running;
    bool paused;
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

// Every signal is for the loop's thread; also those that libc keeps for itself, which its own calls leave open.
static void block_all_signals(void) {
    const uint64_t all = ~0ull;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static void *thread_main(void *data) {
    struct launcher_thread *t = data;
    struct launcher *l = t->launcher;
    block_all_signals();
    pthread_mutex_lock(&l->lock);
    for (;;) {
        struct launch *launch = NULL;
        l->idle++;
        while (!t->leaving && !(launch = l->paused ? NULL : launch_queue_begin(&l->queue)))
            pthread_cond_wait(&l->work, &l->lock);
        l->idle--;
        if (t->leaving)
            break;
        launch->state = LAUNCH_UNDER_WAY;
        launch->launcher_index = t->index;
        station_clear(&t->station, launch);
        t->current = launch;
        t->since = now_mono();
        pthread_mutex_unlock(&l->lock);
        station_make(&t->station, launch);
        pthread_mutex_lock(&l->lock);
        t->current = NULL;
        launch->state = LAUNCH_OVER;
        launch_queue_end(launch);
        LL_APPEND(l->over, launch);
        if (l->queue.count > 0 && l->idle > 0)
            pthread_cond_signal(&l->work); // one that had its share may have room again
        // Not while the lock is held: whoever is woken would only wait for it.
        pthread_mutex_unlock(&l->lock);
        ev_async_send(l->loop, &l->ready);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int thread_start(struct launcher *l, int index) {
    struct launcher_thread *t = &l->threads[index];
    struct child_setup setup = l->setup;
    memcpy(setup.slots, l->slots[index], sizeof(setup.slots));
    *t = (struct launcher_thread){.launcher = l, .index = index};
    int r = station_open(&t->station, l->way, &setup, l->null, l->dumpable);
    if (r < 0)
        return r;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, MAX((size_t)THREAD_STACK, (size_t)PTHREAD_STACK_MIN * 2));
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&t->thread, &attr, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (r < 0)
        station_close(&t->station);
    return r;
}

static int launcher_grow(struct launcher *l) {
    int r = l->running < (size_t)l->most ? thread_start(l, (int)l->running) : -EAGAIN;
    if (r == 0)
        l->running++;
    return r;
}

// Threads that are stuck do not count: others are started in their place, as long as something waits.
static void launcher_balance(struct launcher *l) {
    double now = now_mono();
    size_t stuck = 0;
    pthread_mutex_lock(&l->lock);
    bool wanting = launch_queue_wants(&l->queue, l->idle);
    for (size_t i = 0; i < l->running; i++)
        stuck += l->threads[i].current && now - l->threads[i].since >= LAUNCHER_STUCK;
    pthread_mutex_unlock(&l->lock);
    while (wanting && l->running < stuck + (size_t)l->normal && launcher_grow(l) == 0)
        ;
    ev_timer_stop(l->loop, &l->stuck);
    if (!wanting || l->running >= (size_t)l->most)
        return;
    ev_timer_set(&l->stuck, LAUNCHER_STUCK, 0);
    ev_timer_start(l->loop, &l->stuck);
}

static void on_stuck(struct ev_loop *loop, struct ev_timer *timer, int events) {
    launcher_balance(timer->data);
}

static void on_ready(struct ev_loop *loop, struct ev_async *async, int events) {
    struct launcher *l = async->data;
    pthread_mutex_lock(&l->lock);
    struct launch *over = TAKE_PTR(l->over);
    bool waiting = l->queue.count > 0;
    pthread_mutex_unlock(&l->lock);
    while (over) {
        struct launch *launch = over;
        over = launch->next;
        launch->state = LAUNCH_IDLE;
        claimant_release(TAKE_PTR(launch->claimant));
        if (launch->plan.stage == STAGE_NONE)
            tree_attach(launch->tree);
        launch->done(launch, launch->data);
    }
    if (waiting || ev_is_active(&l->stuck))
        launcher_balance(l);
}

// The slots of the worker before us, as they are part of the table that we share; or new ones.
_Static_assert(sizeof((struct launcher){0}.slots) == sizeof((struct kept_head){0}.slots), "all slots have their note");

static int launcher_slots(struct launcher *l, struct kept_head *kept) {
    int *flat = (int *)l->slots;
    size_t count = (size_t)l->most * SLOT_COUNT;
    if (kept && kept->slot_count > 0) {
        l->most = MIN(l->most, kept->slot_count / SLOT_COUNT);
        memcpy(flat, kept->slots, (size_t)l->most * SLOT_COUNT * sizeof(int));
        return slots_reset(kept->slots, kept->slot_count);
    }
    int r = slots_reserve(l->most, l->slots);
    if (r < 0 || !kept)
        return r;
    memcpy(kept->slots, flat, count * sizeof(int));
    kept->slot_count = (int)count;
    return 0;
}

int launcher_new(struct ev_loop *loop, enum spawn_way way, int threads, bool shared, struct kept_head *kept,
                 struct launcher **ret_launcher) {
    struct launcher *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->loop = loop;
    // Filtered where containers mistrust it: then the plain way, which needs nothing new.
    bool no_clone3 = syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS;
    l->way = no_clone3 ? SPAWN_PLAIN : way;
    l->null = -1;
    l->dumpable = shared ? open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC) : -1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    ev_async_init(&l->ready, on_ready);
    ev_timer_init(&l->stuck, on_stuck, LAUNCHER_STUCK, 0);
    l->ready.data = l->stuck.data = l;
    struct rlimit most;
    int r = getrlimit(RLIMIT_NOFILE, &most) < 0 ? -errno : child_setup_limits(&l->setup, shared);
    // As many descriptors as may be had; children get back what the daemon was given.
    most.rlim_cur = most.rlim_max;
    if (r == 0)
        setrlimit(RLIMIT_NOFILE, &most);
    // Slots are descriptors too: with few of them to be had, fewer launchers.
    l->most = (int)MIN(MAX(most.rlim_max / LAUNCHER_SHARE, (rlim_t)2), (rlim_t)SLOTS_LAUNCHERS);
    if (r == 0)
        r = launcher_slots(l, kept);
    l->normal = MIN(threads, l->most);
    launch_queue_init(&l->queue, l->most);
    if (r == 0 && (l->null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
        r = -errno;
    l->setup.reset_oom = child_setup_oom();
    l->setup.resets_schedule = shared && child_setup_schedule();
    child_setup_privileges(&l->setup, shared);
    if (shared)
        child_setup_memory();
    ev_async_start(loop, &l->ready);
    ev_unref(loop);
    if (r < 0) {
        launcher_free(l);
        return r;
    }
    *ret_launcher = l;
    return 0;
}

// Waits for those that leave.
static void launcher_shrink(struct launcher *l, size_t count) {
    while (l->running > count) {
        struct launcher_thread *t = &l->threads[--l->running];
        pthread_join(t->thread, NULL);
        station_close(&t->station);
    }
}

void launcher_rest(struct launcher *l) {
    size_t left = l->running;
    pthread_mutex_lock(&l->lock);
    while (left > (size_t)l->normal && !l->threads[left - 1].current && l->queue.count == 0)
        l->threads[--left].leaving = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    launcher_shrink(l, left);
}

void launcher_free(struct launcher *l) {
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->running; i++) {
        l->threads[i].leaving = true;
        if (l->threads[i].current)
            station_doom(&l->threads[i].station);
    }
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    launcher_shrink(l, 0);
    ev_ref(l->loop);
    ev_async_stop(l->loop, &l->ready);
    ev_timer_stop(l->loop, &l->stuck);
    for (int i = 0; i < SLOTS_LAUNCHERS; i++)
        for (int s = 0; s < SLOT_COUNT; s++)
            if (l->slots[i][s] > 2)
                close(l->slots[i][s]);
    fd_close(l->null);
    fd_close(l->dumpable);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static bool launcher_is_busy(struct launcher *l) {
    bool busy = false;
    pthread_mutex_lock(&l->lock);
    l->paused = true;
    for (size_t i = 0; i < l->running; i++)
        busy |= l->threads[i].current != NULL;
    pthread_mutex_unlock(&l->lock);
    return busy;
}

void launcher_pause(struct launcher *l) {
    for (double until = now_mono() + PAUSE_MOST; launcher_is_busy(l) && now_mono() < until; usleep(PAUSE_STEP))
        ;
}

void launcher_submit(struct launcher *l, struct launch *launch) {
    if (!l->setup_done)
        child_setup_signals(&l->setup);
    l->setup_done = true;
    int r = l->running == 0 ? launcher_grow(l) : 0;
    pthread_mutex_lock(&l->lock);
    launch->next = NULL;
    if (r < 0) { // not one thread is to be had: nobody would ever come for it
        launch->plan.stage = STAGE_RESOURCES;
        launch->plan.error = -r;
        launch->state = LAUNCH_OVER;
        LL_APPEND(l->over, launch);
        ev_async_send(l->loop, &l->ready);
    } else {
        launch->state = LAUNCH_QUEUED;
        launch_queue_add(&l->queue, launch);
    }
    if (launch->claimant)
        claimant_hold(launch->claimant);
    bool short_of = l->queue.count > l->idle;
    pthread_mutex_unlock(&l->lock);
    pthread_cond_signal(&l->work);
    if (short_of && !ev_is_active(&l->stuck))
        launcher_balance(l);
}

bool launcher_cancel(struct launcher *l, struct launch *launch) {
    pthread_mutex_lock(&l->lock);
    bool queued = launch->state == LAUNCH_QUEUED;
    if (queued) {
        launch_queue_remove(&l->queue, launch);
        launch->state = LAUNCH_IDLE;
    }
    pthread_mutex_unlock(&l->lock);
    if (queued)
        claimant_release(TAKE_PTR(launch->claimant));
    return queued;
}

void launcher_kill(struct launcher *l, struct launch *launch) {
    pthread_mutex_lock(&l->lock);
    // Under way: the pid is its own, or was a moment ago. What is reaped here is taken out of the report first; what a reaper
    // reaps has run its program, and the launcher is about to take the lock.
    if (launch->state == LAUNCH_UNDER_WAY)
        station_doom(&l->threads[launch->launcher_index].station);
    pthread_mutex_unlock(&l->lock);
}

int64_t launcher_descriptors(const struct launcher *l) {
    return (int64_t)l->most * STATION_DESCRIPTORS;
}

enum spawn_way launcher_way(const struct launcher *l) {
    return l->way;
}

size_t launcher_queued(const struct launcher *launcher) {
    struct launcher *l = (struct launcher *)(uintptr_t)launcher;
    pthread_mutex_lock(&l->lock);
    size_t queued = l->queue.count;
    pthread_mutex_unlock(&l->lock);
    return queued;
}

size_t launcher_queued_for(const struct launcher *launcher, const struct claimant *claimant) {
    struct launcher *l = (struct launcher *)(uintptr_t)launcher;
    pthread_mutex_lock(&l->lock);
    size_t queued = claimant ? claimant->queued : 0;
    pthread_mutex_unlock(&l->lock);
    return queued;
}
