// Orphans of reapers that were killed, and reapers that are over or were stopped.
#include "daemon/os/strays.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/os/cgroup_file.h"
#include "daemon/os/sweep.h"
#include "daemon/os/tree_internal.h"

#define LOOK_AFTER 0.5    // seconds, between somebody's end or stop and a look for those who were stopped
enum { LOOK_MOST = 256 }; // at once

struct strays {
    struct ev_loop *loop;
    struct ev_signal child; // somebody has ended, or was stopped
    struct ev_timer look;   // for the stopped, once behind many of those
    struct tree *known;     // hash by reaper
    pid_t *over;            // owned: reapers that have still to be reaped
    size_t over_count, over_room;
    pid_t parent;
    bool is_sweeping;
    struct stat reaper;      // the reapers' program
    char *before;            // owned: what is said of a program whose place it has taken; or NULL
    struct adopted *adopted; // borrowed, or NULL
};

static bool runs(pid_t pid, const struct stat *program) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    return stat(path, &st) == 0 && st.st_dev == program->st_dev && st.st_ino == program->st_ino;
}

static bool is_own_user(pid_t pid) {
    char path[64], text[4096];
    unsigned real, effective, saved, fs, own = geteuid();
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    const char *line = cgroup_file_read(AT_FDCWD, path, text, sizeof(text)) < 0 ? NULL : strstr(text, "\nUid:");
    return line && sscanf(line, "\nUid: %u %u %u %u", &real, &effective, &saved, &fs) == 4 && real == own &&
           effective == own && saved == own && fs == own;
}

// A reaper of before an upgrade, which may be of no tree any more.
static bool ran_before(const struct strays *strays, pid_t pid) {
    char path[64], program[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t n = strays->before ? readlink(path, program, sizeof(program) - 1) : -1;
    program[MAX(n, 0)] = 0;
    return n > 0 && streq(program, strays->before);
}

// Our own: a reaper, be it one whose job is over and left a rest to keep; the worker; or, where launches are made by whom
// orphans come to, what is about to become a reaper. Not by their names, which anybody gives themselves; nor by their programs
// where they are another user's: with mounts of their own these have one at any path, and a look at it waits for as long as they
// are in execve(2) (see sweep.c).
static bool is_ours(const struct strays *strays, pid_t pid) {
    struct tree *tree;
    struct stat own;
    HASH_FIND(by_holder, strays->known, &pid, sizeof(pid), tree);
    if (tree || pid == getpid())
        return true;
    if (!is_own_user(pid))
        return false;
    if (runs(pid, &strays->reaper) || ran_before(strays, pid))
        return true;
    return !strays->adopted && stat("/proc/self/exe", &own) == 0 && runs(pid, &own);
}

static void look_later(struct strays *strays) {
    if (ev_is_active(&strays->look))
        return;
    ev_timer_set(&strays->look, LOOK_AFTER, 0);
    ev_timer_start(strays->loop, &strays->look);
    ev_unref(strays->loop);
}

// Our children are reapers, and leaders that lost theirs and are killed: nobody has a reason to stop them. And one whose
// end its socket has not told, as somebody else holds that.
static void on_look(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct strays *strays = timer->data;
    struct tree *tree = NULL;
    siginfo_t info = {0};
    ev_ref(loop);
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0)
        HASH_FIND(by_holder, strays->known, &info.si_pid, sizeof(info.si_pid), tree);
    if (tree)
        tree_holder_ended(tree);
    if (info.si_pid > 0)
        look_later(strays); // it may hide others
    info.si_pid = 0;
    for (int i = 0; i < LOOK_MOST && waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid > 0; i++) {
        kill(info.si_pid, SIGCONT); // not reaped: the number is its own
        info.si_pid = 0;
    }
}

static void over_reap(struct strays *strays) {
    for (size_t i = strays->over_count; i-- > 0;) {
        pid_t pid = waitpid(strays->over[i], NULL, WNOHANG);
        if (pid != 0) // of an adopted one it is the keeper who reaps it
            strays->over[i] = strays->over[--strays->over_count];
    }
}

static void on_child(struct ev_loop *loop, struct ev_signal *signal, int events) {
    struct strays *strays = signal->data;
    over_reap(strays);
    if (strays->is_sweeping)
        strays_sweep(strays);
    look_later(strays);
}

void strays_reap(struct strays *strays, pid_t holder) {
    if (waitpid(holder, NULL, WNOHANG) != 0)
        return;
    if (strays->over_count == strays->over_room) {
        size_t room = MAX(strays->over_room * 2, (size_t)64);
        pid_t *over = realloc(strays->over, room * sizeof(*over));
        if (!over)
            return; // it stays what it is until we end
        strays->over = over;
        strays->over_room = room;
    }
    strays->over[strays->over_count++] = holder;
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
    if (strays->adopted)
        adopted_listen(strays->adopted, on_orphan, strays);
    strays->is_sweeping = !strays->adopted;
    static pid_t pids[SWEEP_MAX]; // those who came last stand behind all reapers
    size_t count = sweep_children(strays->parent, pids, SWEEP_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!is_ours(strays, pids[i]) && sweep_parent(pids[i]) == strays->parent)
            stray_kill(strays, pids[i]);
    }
}

static char *name_before(int reaper_fd) {
    char path[64], program[PATH_MAX], *name;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", reaper_fd);
    ssize_t n = readlink(path, program, sizeof(program));
    return n > 0 && asprintf(&name, "%.*s (deleted)", (int)n, program) >= 0 ? name : NULL;
}

int strays_new(struct ev_loop *loop, pid_t parent, struct adopted *adopted, int reaper_fd, struct strays **ret_strays) {
    struct strays *strays = calloc(1, sizeof(*strays));
    if (!strays)
        return -ENOMEM;
    strays->loop = loop;
    strays->parent = parent;
    strays->adopted = adopted;
    if (fstat(reaper_fd, &strays->reaper) < 0) {
        int r = -errno;
        free(strays);
        return r;
    }
    strays->before = name_before(reaper_fd);
    ev_signal_init(&strays->child, on_child, SIGCHLD);
    ev_init(&strays->look, on_look);
    strays->child.data = strays->look.data = strays;
    ev_signal_start(loop, &strays->child); // from the start: no end is missed, and no child inherits it
    ev_unref(loop);
    *ret_strays = strays;
    return 0;
}

void strays_free(struct strays *strays) {
    if (!strays)
        return;
    ev_ref(strays->loop);
    ev_signal_stop(strays->loop, &strays->child);
    if (ev_is_active(&strays->look))
        ev_ref(strays->loop);
    ev_timer_stop(strays->loop, &strays->look);
    over_reap(strays);
    // Whoever stopped one on its last steps: nobody lets it go on after us.
    for (size_t i = 0; i < strays->over_count; i++)
        kill(strays->over[i], SIGKILL);
    HASH_CLEAR(by_holder, strays->known);
    free(strays->before);
    free(strays->over);
    free(strays);
}

void strays_know(struct strays *strays, struct tree *tree) {
    HASH_ADD(by_holder, strays->known, holder, sizeof(tree->holder), tree);
}

void strays_unknow(struct strays *strays, struct tree *tree) {
    if (tree->by_holder.tbl) // there was memory for it
        HASH_DELETE(by_holder, strays->known, tree);
}
