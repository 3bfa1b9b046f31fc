// Finding the daemon.
#include "client/endpoint.h"

#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/daemon_start.h"
#include "common/paths.h"
#include "common/unixsock.h"
#include "common/util.h"

// /tmp is everybody's: a socket found by default must lie in a directory of this user or of root. That comes first, as
// whoever else listens there could let a connection wait for ever.
static int endpoint_directory(const char *path) {
    char copy[PATH_MAX];
    struct stat st;
    snprintf(copy, sizeof(copy), "%s", path);
    if (lstat(dirname(copy), &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return st.st_uid == geteuid() || st.st_uid == 0 ? 0 : -EPERM;
}

// And whoever answers must be this user's daemon or root's.
static int endpoint_try(const char *path) {
    int r = endpoint_directory(path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = unixsock_connect(path);
    if (fd < 0)
        return fd;
    uid_t uid;
    pid_t pid;
    r = unixsock_peer(fd, &uid, &pid);
    if (r < 0)
        return r;
    return uid == geteuid() || uid == 0 ? TAKE_FD(fd) : -EPERM;
}

static int endpoint_fail(const char *path, int r, const char *advice, char why[1024]) {
    const char *what = r == -ENOENT || r == -ECONNREFUSED ? "no daemon answers there"
                       : r == -EPERM                      ? "belongs to another user's daemon"
                                                          : strerror(-r);
    snprintf(why, 1024, "%.300s: %s%s%s", path, what, *advice ? ": " : "", advice);
    return r;
}

static int endpoint_explicit(const char *path, char why[1024]) {
    int fd = unixsock_connect(path);
    return fd >= 0 ? fd : endpoint_fail(path, fd, "start one with supd --socket, or name another socket", why);
}

static bool systemd_runs(void) {
    return access("/run/systemd/system", F_OK) == 0; // sd_booted(3)
}

static int endpoint_start(const struct endpoint *endpoint, bool system, const char *path, int r, char why[1024]) {
    if (r != -ENOENT && r != -ECONNREFUSED)
        return endpoint_fail(path, r, "", why);
    if (endpoint->no_autostart)
        return endpoint_fail(path, r, "start supd, or leave out --no-autostart", why);
    if (system && geteuid() != 0)
        return endpoint_fail(path, r, "root starts it with: systemctl start supd", why);
    if (system && systemd_runs())
        return endpoint_fail(path, r, "start it with: systemctl start supd", why);
    return daemon_start(path, system, why);
}

// Keeps where a connection was made.
static int endpoint_found(struct endpoint *endpoint, const char *path, int fd) {
    if (fd >= 0)
        snprintf(endpoint->found, sizeof(endpoint->found), "%s", path);
    return fd;
}

int endpoint_connect(struct endpoint *endpoint, char why[1024]) {
    if (endpoint->socket)
        return endpoint_explicit(endpoint->socket, why);
    char user[PATH_MAX];
    int r = paths_user_socket(user, sizeof(user));
    if (r < 0)
        return endpoint_fail("$XDG_RUNTIME_DIR", r, "set a shorter one", why);
    bool is_root = geteuid() == 0;
    bool try_user = endpoint->user || (!endpoint->system && !is_root), try_system = !endpoint->user;
    int user_fd = try_user ? endpoint_try(user) : -ENOENT;
    if (user_fd >= 0 || (try_user && user_fd != -ENOENT && user_fd != -ECONNREFUSED && !try_system))
        return user_fd >= 0 ? endpoint_found(endpoint, user, user_fd) : endpoint_fail(user, user_fd, "", why);
    int system_fd = try_system ? endpoint_try(PATHS_SYSTEM_SOCKET) : -ENOENT;
    if (system_fd >= 0)
        return endpoint_found(endpoint, PATHS_SYSTEM_SOCKET, system_fd);
    bool start_system = endpoint->system || (is_root && !endpoint->user);
    const char *path = start_system ? PATHS_SYSTEM_SOCKET : user;
    r = start_system ? system_fd : user_fd;
    return endpoint_found(endpoint, path, endpoint_start(endpoint, start_system, path, r, why));
}

int endpoint_connect_again(const struct endpoint *endpoint, char why[1024]) {
    if (endpoint->socket)
        return endpoint_explicit(endpoint->socket, why);
    int fd = endpoint_try(endpoint->found);
    return fd >= 0 ? fd : endpoint_fail(endpoint->found, fd, "", why);
}
