// Directories and locks.
#include "daemon/instance.h"

#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/util.h"

// Whatever the umask is.
static int directory_make_one(const char *path, mode_t mode) {
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    return mode != 0700 && chmod(path, mode) < 0 ? -errno : 0;
}

// Makes `path` and what is missing above it. Directories that exist are left as they are.
static int directory_make(const char *path, mode_t mode) {
    _cleanup_free_ char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int r = directory_make_one(copy, mode);
        if (r < 0)
            return r;
        *slash = '/';
    }
    return directory_make_one(copy, mode);
}

// Whoever could rename a directory on the way to one of ours, or what is in it, could put another in its place, and be supd
// to its clients. In a sticky directory nobody renames what is not theirs. Where users have a group each (umask 002) what
// theirs may write to is their own.
static bool is_safe(const struct stat *st) {
    bool is_ours = st->st_uid == geteuid() || st->st_uid == 0;
    bool is_own_group = geteuid() != 0 && st->st_gid == getegid();
    return is_ours && (!(st->st_mode & (is_own_group ? 002 : 022)) || (st->st_mode & S_ISVTX));
}

// From `path` upwards, which is changed.
static int way_check(char *path, const char *to, char why[400]) {
    for (char *at = path; at && *at; at = streq(at, "/") ? NULL : dirname(at)) {
        struct stat st;
        if (stat(at, &st) < 0 || is_safe(&st))
            continue;
        snprintf(why, 400,
                 "%.120s: %.120s belongs to another user or others can write to it, and so put something of theirs in "
                 "place of this one: mend that, or name another",
                 to, at);
        return -EPERM;
    }
    return 0;
}

static const char *what_is_wrong(const struct stat *st) {
    if (S_ISLNK(st->st_mode))
        return "is a symbolic link: name the directory itself";
    if (!S_ISDIR(st->st_mode))
        return "is no directory";
    if (st->st_uid != geteuid())
        return "belongs to another user: remove it or name another directory";
    return is_safe(st) && !(st->st_mode & 002)
               ? NULL
               : "others can write to it, and what is in it may be theirs: look at that, then make it 0700";
}

// A directory of supd's own must be this user's and no link: whoever could write to it could be supd.
static int directory_own(const char *path, mode_t mode, struct stat *ret_stat, char why[400]) {
    int r = directory_make(path, mode);
    struct stat st = {0};
    _cleanup_free_ char *real = r == 0 ? realpath(path, NULL) : NULL;
    if (r == 0 && (!real || lstat(path, &st) < 0))
        r = -errno;
    if (r < 0) {
        snprintf(why, 400, "%.200s: %s", path, strerror(-r));
        return r;
    }
    const char *wrong = what_is_wrong(&st);
    if (wrong) {
        snprintf(why, 400, "%.200s: %s", path, wrong);
        return -EPERM;
    }
    if ((st.st_mode & 0777) != mode && chmod(path, mode) < 0) {
        snprintf(why, 400, "%.200s: %s", path, strerror(errno));
        return -errno;
    }
    *ret_stat = st;
    return way_check(real, path, why);
}

static long lock_holder(int fd) {
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

// One whose keeper was killed ends its jobs and leaves (worker.c): whoever is started in its place waits for that, and
// looks again ten times a second. Returns 0, or a negative errno: -EINTR when we are to stop.
static int lock_await(int fd) {
    const struct timespec step = {.tv_nsec = 100000000};
    sigset_t ends; // blocked here, where there is a keeper to pass them on
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return -errno;
        if (sigtimedwait(&ends, NULL, &step) > 0)
            return -EINTR;
    }
    return 0;
}

static bool is_gone(long pid) {
    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static int lock_take(const char *dir, const struct instance_parts *parts, int *lock, int *ret_fd, char why[400]) {
    if (*lock > 0) { // of the worker before us
        *ret_fd = *lock;
        return 0;
    }
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/supd.lock", dir) < 0)
        return -ENOMEM;
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(why, 400, "%.300s: %s", path, strerror(errno));
        return -errno;
    }
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -EADDRINUSE : 0;
    if (r < 0 && is_gone(lock_holder(fd))) {
        log_warning(parts->log,
                    "%s: the supd before, whose keeper (process %ld) is gone, ends its jobs: waiting for it", dir,
                    lock_holder(fd));
        r = lock_await(fd);
    }
    if (r < 0) {
        snprintf(why, 400, "%.200s is in use by another supd, process %ld: stop it, or name other directories", dir,
                 lock_holder(fd));
        return -EADDRINUSE;
    }
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%ld\n", parts->pid);
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n) {
        // Only a word to whoever finds it locked: a full disk is no reason not to start.
    }
    *ret_fd = *lock = TAKE_FD(fd);
    return 0;
}

static int socket_directory(const char *socket, mode_t mode, char why[400]) {
    _cleanup_free_ char *copy = strdup(socket);
    int r = copy ? directory_make(dirname(copy), mode) : -ENOMEM;
    if (r < 0) {
        snprintf(why, 400, "%.200s: its directory: %s", socket, strerror(-r));
        return r;
    }
    _cleanup_free_ char *path = realpath(copy, NULL);
    return way_check(path, socket, why);
}

int instance_open(struct instance *instance, const struct instance_parts *parts, char why[400]) {
    *instance = (struct instance){.runtime_lock = -1, .state_lock = -1};
    struct stat runtime = {0}, state = {0};
    _cleanup_free_ char *socket = strdup(parts->socket);
    if (!socket)
        return -ENOMEM;
    // Everybody's way to the socket; what else is in it is closed to them.
    bool is_way = parts->is_shared && streq(dirname(socket), parts->runtime_dir);
    int r = directory_own(parts->runtime_dir, is_way ? 0755 : 0700, &runtime, why);
    if (r == 0)
        r = socket_directory(parts->socket, parts->is_shared ? 0755 : 0700, why);
    if (r == 0)
        r = lock_take(parts->runtime_dir, parts, &parts->locks[0], &instance->runtime_lock, why);
    int kept = r == 0 ? directory_own(parts->state_dir, 0700, &state, why) : 0;
    if (r == 0 && kept == 0 && (runtime.st_ino != state.st_ino || runtime.st_dev != state.st_dev))
        kept = lock_take(parts->state_dir, parts, &parts->locks[1], &instance->state_lock, why);
    if (kept == -EADDRINUSE || kept == -EPERM) // somebody else's
        r = kept;
    else if (kept < 0)
        snprintf(instance->trouble, sizeof(instance->trouble), "%s", why);
    snprintf(instance->name, sizeof(instance->name), "supd-%u-%llx-%llx", (unsigned)geteuid(),
             (unsigned long long)runtime.st_dev, (unsigned long long)runtime.st_ino);
    if (r < 0)
        instance_close(instance);
    return r;
}

void instance_close(struct instance *instance) {
    instance->runtime_lock = fd_close(instance->runtime_lock);
    instance->state_lock = fd_close(instance->state_lock);
}
