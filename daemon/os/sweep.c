// Process trees by /proc.
#include "daemon/os/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The beginning of one of its files in /proc. Returns false where there is none.
static bool file_of(pid_t pid, const char *name, char text[512]) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 511);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

// By its status, in which no name holds a line's end. Who reads its stat waits, beyond any signal, for as long as it is in
// execve(2) and closes what is closed there: for ever, if a server of FUSE says so (seen with Linux 6.18).
static pid_t state_of(pid_t pid, char *ret_state) {
    char text[512];
    int parent;
    const char *at = file_of(pid, "status", text) ? strstr(text, "\nState:") : NULL;
    if (!at || sscanf(at, "\nState: %c", ret_state) != 1)
        return -1;
    at = strstr(at, "\nPPid:");
    return at && sscanf(at, "\nPPid: %d", &parent) == 1 ? parent : -1;
}

pid_t sweep_parent(pid_t pid) {
    char state;
    return state_of(pid, &state);
}

char sweep_state(pid_t pid) {
    char state = 'X';
    state_of(pid, &state);
    return state;
}

bool sweep_can(void) {
    DIR *dir = opendir("/proc/self/task");
    if (dir)
        closedir(dir);
    return dir || (errno != EMFILE && errno != ENOMEM);
}

double sweep_clock(pid_t pid) {
    struct timespec ts;
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
        return 0;
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

double sweep_cpu(pid_t pid) {
    char text[512];
    unsigned long user, system;
    long child_user, child_system;
    // Behind its name, which may hold anything but ends at the last parenthesis (proc(5)).
    const char *fields = file_of(pid, "stat", text) ? strrchr(text, ')') : NULL;
    if (!fields || sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user, &system,
                          &child_user, &child_system) != 4)
        return 0;
    return (double)(user + system + (unsigned long)child_user + (unsigned long)child_system) /
           (double)sysconf(_SC_CLK_TCK);
}

// The children of one thread (proc(5): /proc/PID/task/TID/children; needs CONFIG_PROC_CHILDREN).
static size_t thread_children(const char *path, pid_t *pids, size_t max) {
    char text[4096];
    size_t count = 0, have = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n;
    while ((n = read(fd, text + have, sizeof(text) - 1 - have)) > 0) {
        have += (size_t)n;
        text[have] = 0;
        char *at = text, *space;
        while ((space = strchr(at, ' '))) {
            if (count < max)
                pids[count] = atoi(at);
            count++;
            at = space + 1;
        }
        have = strlen(at);
        memmove(text, at, have);
    }
    close(fd);
    return count < max ? count : max;
}

size_t sweep_children(pid_t pid, pid_t *pids, size_t max) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *e; count < max && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, e->d_name);
        count += thread_children(path, pids + count, max - count);
    }
    closedir(dir);
    return count;
}

// `parents`: of each, or NULL.
static size_t collect(pid_t root, pid_t *pids, pid_t *parents, size_t max) {
    size_t count = 0;
    for (size_t i = 0; i <= count && count < max; i++) { // first root's own, then those of the ones found
        pid_t parent = i == 0 ? root : pids[i - 1];
        size_t more = sweep_children(parent, pids + count, max - count);
        for (size_t c = 0; parents && c < more; c++)
            parents[count + c] = parent;
        count += more;
    }
    return count;
}

size_t sweep_list(pid_t root, pid_t *pids, size_t max) {
    return collect(root, pids, NULL, max);
}

double sweep_sum(pid_t root, double (*used)(pid_t pid)) {
    pid_t *pids = malloc(SWEEP_MAX * sizeof(*pids));
    size_t count = pids ? sweep_list(root, pids, SWEEP_MAX) : 0;
    double sum = used(root);
    for (size_t i = 0; i < count; i++)
        sum += used(pids[i]);
    free(pids);
    return sum;
}

// Whether the process still descends from root: a recycled number does not. It does while its parent is who it was when the
// list was made; else that is looked up, of a long line in as many steps.
static bool descends(pid_t parent, pid_t listed, pid_t root) {
    for (int depth = 0; parent > 0 && depth < SWEEP_MAX; depth++) {
        if (parent == root || parent == listed)
            return true;
        parent = sweep_parent(parent);
    }
    return false;
}

static bool runs(char state) {
    return !strchr("TtZX", state);
}

// Of one whose first thread has ended /proc says that it is gone, while its others go on and may fork.
static bool others_run(pid_t pid) {
    char path[64], state;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && !found && (e = readdir(dir));) {
        int thread = atoi(e->d_name);
        found = thread > 0 && thread != pid && state_of(thread, &state) >= 0 && runs(state);
    }
    if (dir)
        closedir(dir);
    return found;
}

// Where not all of them are wanted: not those that are stopped already, or are gone but for their end. `ret_waits`: it waits
// in the kernel, be it for a child of its own (vfork(2)): with a signal that waits for it, it stops before it does anything.
static bool is_wanted(pid_t pid, bool *ret_waits) {
    char state;
    bool wanted = state_of(pid, &state) >= 0 && (runs(state) || (state == 'Z' && others_run(pid)));
    *ret_waits = wanted && state == 'D';
    return wanted;
}

enum order { PARENTS_FIRST, CHILDREN_FIRST };

static size_t signal_all(pid_t root, int sig, bool running, enum order order, size_t max) {
    static pid_t pids[SWEEP_MAX],
        parents[SWEEP_MAX]; // nobody takes this memory from a reaper whose limits they may set
    size_t reached = 0, count = collect(root, pids, parents, max);
    for (size_t n = 0; n < count; n++) {
        size_t i = order == PARENTS_FIRST ? n : count - 1 - n;
        bool waits = false;
        if (running && !is_wanted(pids[i], &waits))
            continue;
        int pidfd = (int)syscall(SYS_pidfd_open, pids[i], 0);
        if (pidfd < 0)
            continue;
        if (descends(sweep_parent(pids[i]), parents[i], root) &&
            syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0)
            reached += !waits;
        close(pidfd);
    }
    return reached;
}

size_t sweep_signal(pid_t root, int sig) {
    return signal_all(root, sig, false, PARENTS_FIRST, SWEEP_MAX);
}

size_t sweep_kill_some(pid_t root, size_t max) {
    return signal_all(root, SIGKILL, false, PARENTS_FIRST, max);
}

size_t sweep_freeze(pid_t root) {
    return signal_all(root, SIGSTOP, true, PARENTS_FIRST, SWEEP_MAX);
}

// The end of a parent or a tracer would let those who are stopped run on (setpgid(2), ptrace(2)): they have their own by then.
size_t sweep_kill_frozen(pid_t root) {
    return signal_all(root, SIGKILL, false, CHILDREN_FIRST, SWEEP_MAX);
}
