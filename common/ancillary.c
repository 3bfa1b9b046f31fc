// Passing descriptors.
#include "common/ancillary.h"

#include <sys/socket.h>

#include "common/closing.h"
#include "common/util.h"

// All that can come at once (SCM_MAX_FD, unix(7)): what has no room here the kernel closes, and that may wait.
enum { ROOM = 253 };

void ancillary_close(struct ancillary *a) {
    for (int i = 0; i < a->count; i++)
        closing_close(a->fds[i]);
    *a = (struct ancillary){0};
}

static void ancillary_add(struct ancillary *a, const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (a->count < ANCILLARY_MAX && !a->too_many) {
            a->fds[a->count++] = fds[i];
            continue;
        }
        closing_close(fds[i]);
        a->too_many = true;
    }
}

static ssize_t receive(int fd, void *data, size_t size, int flags, struct ancillary *ret_ancillary) {
    union {
        char room[CMSG_SPACE(ROOM * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec piece = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
    struct ancillary a = {0};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            ancillary_add(&a, (const int *)(const void *)CMSG_DATA(c), (c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (n >= 0 && (a.too_many || (message.msg_flags & MSG_CTRUNC))) {
        ancillary_close(&a);
        a.too_many = true;
    }
    *ret_ancillary = a;
    return n;
}

ssize_t ancillary_recv(int fd, void *data, size_t size, bool begins, struct ancillary *ret_ancillary) {
    struct ancillary seen;
    ssize_t n = receive(fd, data, size, MSG_PEEK, &seen);
    bool comes = n > 0 && (seen.count > 0 || seen.too_many);
    ancillary_close(&seen);
    *ret_ancillary = (struct ancillary){0};
    if (n <= 0)
        return n;
    if (!comes)
        return recv(fd, data, (size_t)n, MSG_DONTWAIT);
    if (begins)
        return receive(fd, data, 1, 0, ret_ancillary);
    const char *newline = memchr(data, '\n', (size_t)n);
    n = receive(fd, data, newline ? (size_t)(newline - (char *)data) + 1 : (size_t)n, 0, &seen);
    ancillary_close(&seen);
    return n;
}

ssize_t ancillary_send(int fd, const void *data, size_t size, const int *fds, int count) {
    union {
        char room[CMSG_SPACE(ANCILLARY_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {.room = ""};
    struct iovec piece = {.iov_base = (char *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > 0) {
        size_t bytes = (size_t)count * sizeof(int);
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), fds, bytes);
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
