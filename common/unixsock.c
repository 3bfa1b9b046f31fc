// UNIX stream sockets by path.
#include "common/unixsock.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/util.h"

static int unixsock_address(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

static int unixsock_connect_by(const char *path, int flags) {
    struct sockaddr_un address;
    int r = unixsock_address(path, &address);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int unixsock_connect(const char *path) {
    return unixsock_connect_by(path, 0);
}

// A socket file whose owner has gone refuses connections; only such a one may be removed.
static int unixsock_clear(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    _cleanup_close_ int fd = unixsock_connect_by(path, SOCK_NONBLOCK); // EAGAIN: alive, with a full queue
    if (fd != -ECONNREFUSED)
        return fd >= 0 || fd == -EAGAIN ? -EADDRINUSE : fd;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int unixsock_listen(const char *path, mode_t mode) {
    struct sockaddr_un address;
    int r = unixsock_address(path, &address);
    if (r < 0)
        return r;
    r = unixsock_clear(path);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // The mode of a socket file is that of the socket at bind, less the umask: no moment of a wider mode.
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    if (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
        r = -errno;
        unlink(path);
        return r;
    }
    return TAKE_FD(fd);
}

int unixsock_peer(int fd, uid_t *ret_uid, pid_t *ret_pid) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    *ret_uid = peer.uid;
    *ret_pid = peer.pid;
    return 0;
}
