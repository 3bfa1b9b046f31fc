// Orphans of reapers that were killed.
#include "daemon/os/strays.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

struct strays {
    struct ev_loop *loop;
    struct ev_signal child; // only once there is something to reap
    struct tree *known;     // hash by reaper
    pid_t parent;
    struct adopted *adopted; // borrowed, or NULL
};

// Our own: a reaper, or what is about to become one and still bears our name. Leaders are never our children here.
static bool is_ours(const struct strays *strays, pid_t pid) {
    struct tree *tree;
    HASH_FIND(by_holder, strays->known, &pid, sizeof(pid), tree);
    if (tree)
        return true;
    char path[64], name[16] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
    fd_close(fd);
    return n > 0 && strncmp(name, "supd", 4) == 0;
}

static void on_child(struct ev_loop *loop, struct ev_signal *signal, int events) {
    strays_sweep(signal->data);
}

static void on_orphan(void *data) {
    strays_sweep(data);
}

// Through a pidfd, with a second look at whose child it is: the keeper may have reaped it meanwhile.
static void stray_kill(const struct strays *strays, pid_t pid) {
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0 && sweep_parent(pid) == strays->parent)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    if (!strays->adopted)
        waitpid(pid, NULL, WNOHANG);
}

void strays_sweep(struct strays *strays) {
    // First, so that no death is missed that comes while this looks around.
    if (strays->adopted) {
        adopted_listen(strays->adopted, on_orphan, strays);
    } else if (!ev_is_active(&strays->child)) {
        ev_signal_start(strays->loop, &strays->child);
        ev_unref(strays->loop);
    }
    pid_t pids[256];
    size_t count = sweep_list(strays->parent, pids, ARRAY_SIZE(pids));
    for (size_t i = 0; i < count; i++) {
        if (sweep_parent(pids[i]) == strays->parent && !is_ours(strays, pids[i]))
            stray_kill(strays, pids[i]);
    }
}

int strays_new(struct ev_loop *loop, pid_t parent, struct adopted *adopted, struct strays **ret_strays) {
    struct strays *strays = calloc(1, sizeof(*strays));
    if (!strays)
        return -ENOMEM;
    strays->loop = loop;
    strays->parent = parent;
    strays->adopted = adopted;
    ev_signal_init(&strays->child, on_child, SIGCHLD);
    strays->child.data = strays;
    *ret_strays = strays;
    return 0;
}

void strays_free(struct strays *strays) {
    if (!strays)
        return;
    if (ev_is_active(&strays->child)) {
        ev_ref(strays->loop);
        ev_signal_stop(strays->loop, &strays->child);
    }
    HASH_CLEAR(by_holder, strays->known);
    free(strays);
}

void strays_know(struct strays *strays, struct tree *tree) {
    HASH_ADD(by_holder, strays->known, holder, sizeof(tree->holder), tree);
}

void strays_unknow(struct strays *strays, struct tree *tree) {
    if (tree->by_holder.tbl) // there was memory for it
        HASH_DELETE(by_holder, strays->known, tree);
}
