// The service manager's notification socket.
#include "daemon/notify.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/ancillary.h"
#include "common/util.h"

bool notify_is_there(void) {
    return getenv("NOTIFY_SOCKET") != NULL;
}

enum { STORE_PATIENCE = 10000 }; // milliseconds for the manager to take one

// A socket that is connected to it, or a negative errno.
static int notify_open(int flags) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return -ENOENT;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = 0; // an abstract name (unix(7)), its length as given
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, size) < 0)
        return -errno;
    return TAKE_FD(fd);
}

void notify_send(const char *state) {
    _cleanup_close_ int fd = notify_open(SOCK_NONBLOCK);
    if (fd >= 0)
        send(fd, state, strlen(state), MSG_NOSIGNAL);
}

static int notify_wait(int to, const char *text, size_t size, const int *fd) {
    while (ancillary_send(to, text, size, fd, fd ? 1 : 0) < 0) {
        struct pollfd p = {.fd = to, .events = POLLOUT};
        if ((errno != EAGAIN && errno != EINTR) || poll(&p, 1, STORE_PATIENCE) == 0)
            return -errno;
    }
    return 0;
}

int notify_store(int fd, const char *name) {
    char text[64];
    // FDPOLL=0: one that hung up still has bytes for us.
    int n = snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%.32s\nFDPOLL=0", name);
    _cleanup_close_ int to = notify_open(0);
    return to < 0 ? to : notify_wait(to, text, (size_t)n, &fd);
}

void notify_unstore(const char *name) {
    char text[64];
    int n = snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%.32s", name);
    _cleanup_close_ int to = notify_open(0);
    if (to >= 0)
        notify_wait(to, text, (size_t)n, NULL);
}
