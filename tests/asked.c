// The process that is asked.
#include "tests/asked.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

union space {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

// By a call that no filter asks about: nobody would answer yet.
static int pass_descriptor(int to, int fd) {
    union space space = {0};
    char byte = 0;
    struct iovec vector = {&byte, 1};
    struct mmsghdr message = {
        .msg_hdr = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)}};
    space.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&space.header), &fd, sizeof(fd));
    return sendmmsg(to, &message, 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int take_descriptor(int from) {
    union space space = {0};
    char byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    int fd = -1;
    if (recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(&space.header), sizeof(fd));
    return fd;
}

static void answer(int listener, int (*fails)(const struct seccomp_notif *asked)) {
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    while (poll(&waiting, 1, -1) > 0 && !(waiting.revents & POLLHUP)) {
        struct seccomp_notif asked = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0)
            continue; // a signal has ended the call
        int error = fails(&asked);
        struct seccomp_notif_resp resp = {
            .id = asked.id, .error = -error, .flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
    }
}

int asked_open(const struct sock_fprog *filter, int (*fails)(const struct seccomp_notif *asked)) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t parent = fork();
    if (parent == 0) {
        if (fork() > 0) // no child of the process under test
            _exit(0);
        close(ends[0]);
        int listener = take_descriptor(ends[1]);
        if (listener >= 0)
            answer(listener, fails);
        _exit(0);
    }
    close(ends[1]);
    int r = parent < 0 || waitpid(parent, NULL, 0) != parent ? -errno : 0;
    int listener = -1;
    if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r = -errno;
    if (r == 0)
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, filter);
    if (r == 0)
        r = listener < 0 ? -errno : pass_descriptor(ends[0], listener);
    if (listener >= 0)
        close(listener);
    close(ends[0]);
    return r;
}
