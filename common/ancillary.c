// Passing descriptors.
#include "common/ancillary.h"

#include <sys/socket.h>

#include "common/closing.h"
#include "common/util.h"

void ancillary_close(struct ancillary *a) {
    for (int i = 0; i < a->count; i++)
        closing_close(a->fds[i], a->from);
    *a = (struct ancillary){0};
}

// What has no room the kernel drops: that closes it as well, but asks no file system. `ret_ancillary` NULL: nothing has.
// Returns as recvmsg(2).
static ssize_t receive(int fd, void *data, size_t size, uid_t from, struct ancillary *ret_ancillary) {
    union {
        char room[CMSG_SPACE(ANCILLARY_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec piece = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (ret_ancillary) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_LEN(ANCILLARY_MAX * sizeof(int)); // with the padding there were room for one more
    }
    closing_clock_start(); // what is dropped may linger
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    closing_clock_stop();
    if (n < 0 || !ret_ancillary)
        return n;
    struct ancillary a = {.from = from};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        a.count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(a.fds, CMSG_DATA(c), (size_t)a.count * sizeof(int));
    }
    if (message.msg_flags & MSG_CTRUNC) {
        ancillary_close(&a);
        a.too_many = true;
    }
    *ret_ancillary = a;
    return n;
}

// Receives nothing yet: of descriptors that are there it is only told that they have no room.
static ssize_t look(int fd, void *data, size_t size, bool *ret_comes) {
    struct iovec piece = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK);
    *ret_comes = n > 0 && (message.msg_flags & MSG_CTRUNC);
    return n;
}

ssize_t ancillary_recv(int fd, void *data, size_t size, bool begins, uid_t from, struct ancillary *ret_ancillary) {
    bool comes = false;
    ssize_t n = look(fd, data, size, &comes);
    *ret_ancillary = (struct ancillary){0};
    if (n <= 0)
        return n;
    if (!comes)
        return recv(fd, data, (size_t)n, MSG_DONTWAIT);
    if (begins && closing_may_take(from))
        return receive(fd, data, 1, from, ret_ancillary);
    if (begins) {
        ret_ancillary->too_many = true;
        return receive(fd, data, 1, from, NULL);
    }
    const char *newline = memchr(data, '\n', (size_t)n);
    return receive(fd, data, newline ? (size_t)(newline - (char *)data) + 1 : (size_t)n, from, NULL);
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
