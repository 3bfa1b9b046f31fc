// One process a descriptor.
#include "daemon/os/closer.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utlist.h>

#include "common/closing.h"
#include "common/util.h"
#include "common/watch.h"

// Milliseconds, and how many of them make one that hangs of one that is slow: what a slow one does last, such as dropping
// SQLite's locks, is not to come later.
enum { LOOK = 1, LOOKS = 100 };

#define AGAIN 1.0 // seconds, where there was no process to be had

struct pending {
    struct closer *closer;
    uid_t from;
    int fd;    // -1: it is being closed. Else it waits for its turn, or there was no process to be had
    int pidfd; // of the process that does
    struct ev_io io;
    struct pending *prev, *next;
};

struct closer {
    struct ev_loop *loop;
    struct closing_host host;
    struct pending *all; // list
    struct ev_timer again;
};

// System calls alone: it is a copy of a process with threads.
__attribute__((no_sanitize("address", "undefined", "thread"))) static pid_t closing_process(int fd, int *ret_pidfd) {
    long pid = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD, 0, ret_pidfd, 0, 0); // no signal tells of its end
    if (pid != 0)
        return (pid_t)pid;
    syscall(SYS_prctl, PR_SET_NAME, "supd-closer", 0, 0, 0);
    syscall(SYS_close, fd);
    for (;;)
        syscall(SYS_exit_group, 0);
}

static void process_reap(int pidfd) {
    siginfo_t info;
    waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | __WALL);
}

// One that hangs is out of the table: the kernel takes it from there first (close_fd).
static void wait_for_one(struct pollfd *end, int fd, int *looks) {
    while (poll(end, 1, LOOK) <= 0 && (*looks > 0 || fcntl(fd, F_GETFD) >= 0))
        (*looks)--;
    process_reap(end->fd); // else it is whoever's this process's children come to
    close(end->fd);
}

void closer_close(const int *fds, size_t count) {
    struct pollfd ends[CLOSER_AT_ONCE];
    int looks = LOOKS;
    for (size_t i = 0; i < count; i++) {
        ends[i] = (struct pollfd){.fd = -1, .events = POLLIN};
        if (closing_process(fds[i], &ends[i].fd) < 0)
            close(fds[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (ends[i].fd >= 0)
            wait_for_one(&ends[i], fds[i], &looks);
}

static void pending_free(struct pending *p) {
    DL_DELETE(p->closer->all, p);
    ev_io_stop(p->closer->loop, &p->io);
    fd_close(p->pidfd);
    free(p);
}

// How many of them that user has, those alone that are under way or all.
static int count_of(const struct closer *closer, uid_t from, bool under_way) {
    const struct pending *p;
    int count = 0;
    DL_FOREACH(closer->all, p)
        count += p->from == from && (!under_way || p->fd < 0);
    return count;
}

// Returns whether there was a process to be had.
static bool pending_begin(struct pending *p) {
    struct closer *closer = p->closer;
    if (closing_process(p->fd, &p->pidfd) < 0) {
        p->pidfd = -1;
        ev_timer_stop(closer->loop, &closer->again);
        ev_timer_set(&closer->again, AGAIN, 0);
        ev_timer_start(closer->loop, &closer->again);
        return false;
    }
    p->fd = -1;
    ev_io_set(&p->io, p->pidfd, EV_READ);
    ev_io_start(closer->loop, &p->io);
    return true;
}

// All that wait and may: after processes could not be had these are several, and one that hangs would keep the others.
static void waiting_begin(const struct closer *closer) {
    struct pending *p;
    DL_FOREACH(closer->all, p)
        if (p->fd >= 0 && count_of(closer, p->from, true) < CLOSER_EACH && !pending_begin(p))
            return;
}

static void on_again(struct ev_loop *loop, struct ev_timer *timer, int events) {
    waiting_begin(timer->data);
}

// As one has come to its end, one of its user that waits begins: each copies what the worker's memory is mapped by.
static void on_over(struct ev_loop *loop, struct ev_io *io, int events) {
    struct pending *p = io->data;
    struct closer *closer = p->closer;
    if (watch_failed(loop, io, events))
        return;
    process_reap(p->pidfd);
    pending_free(p);
    waiting_begin(closer);
}

static bool host_may(uid_t from, void *data) {
    return count_of(data, from, false) < CLOSER_EACH;
}

static bool host_close(int fd, uid_t from, void *data) {
    struct closer *closer = data;
    struct pending *p = calloc(1, sizeof(*p));
    if (!p)
        return false;
    *p = (struct pending){.closer = closer, .from = from, .fd = fd, .pidfd = -1};
    ev_io_init(&p->io, on_over, -1, EV_READ);
    p->io.data = p;
    bool may_begin = count_of(closer, from, true) < CLOSER_EACH;
    DL_APPEND(closer->all, p);
    if (may_begin)
        pending_begin(p);
    return true;
}

int closer_new(struct ev_loop *loop, struct closer **ret_closer) {
    struct closer *closer = calloc(1, sizeof(*closer));
    if (!closer)
        return -ENOMEM;
    closer->loop = loop;
    ev_timer_init(&closer->again, on_again, AGAIN, 0);
    closer->again.data = closer;
    closer->host = (struct closing_host){host_may, host_close, closer};
    closing_set_host(&closer->host);
    *ret_closer = closer;
    return 0;
}

void closer_free(struct closer *closer) {
    struct pending *p, *next;
    if (!closer)
        return;
    closing_set_host(NULL);
    DL_FOREACH_SAFE(closer->all, p, next)
        pending_free(p);
    ev_timer_stop(closer->loop, &closer->again);
    free(closer);
}
