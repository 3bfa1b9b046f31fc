// Orphans of reapers that were killed.
#include "daemon/os/strays.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

struct strays {
    struct ev_loop *loop;
    struct ev_signal child; // only once there is something to reap
    struct tree *known;     // hash by reaper
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

void strays_sweep(struct strays *strays) {
    // First, so that no death is missed that comes while this looks around.
    if (!ev_is_active(&strays->child)) {
        ev_signal_start(strays->loop, &strays->child);
        ev_unref(strays->loop);
    }
    pid_t pids[256];
    size_t count = sweep_list(getpid(), pids, ARRAY_SIZE(pids));
    for (size_t i = 0; i < count; i++) {
        if (sweep_parent(pids[i]) != getpid() || is_ours(strays, pids[i]))
            continue;
        kill(pids[i], SIGKILL); // our child, not reaped: the number is its own
        waitpid(pids[i], NULL, WNOHANG);
    }
}

int strays_new(struct ev_loop *loop, struct strays **ret_strays) {
    struct strays *strays = calloc(1, sizeof(*strays));
    if (!strays)
        return -ENOMEM;
    strays->loop = loop;
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
    HASH_DELETE(by_holder, strays->known, tree);
}
