// Closing under a clock.
#include "common/closing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/util.h"

enum { MOMENT = 1000 }; // microseconds

static void on_alarm(int signal) {
    // That it comes is all there is to it.
}

static void alarm_init(void) {
    struct sigaction now, ours = {.sa_handler = on_alarm};
    if (sigaction(SIGALRM, NULL, &now) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN))
        sigaction(SIGALRM, &ours, NULL);
}

void closing_close(int fd) {
    // Again and again, as the first one may come before there is a wait.
    const struct itimerval soon = {{0, MOMENT}, {0, MOMENT}}, never = {{0, 0}, {0, 0}};
    int saved = errno;
    bool is_pipe = fcntl(fd, F_GETPIPE_SZ) >= 0; // these are most, and never wait
    if (!is_pipe)
        alarm_init();
    if (!is_pipe)
        setitimer(ITIMER_REAL, &soon, NULL);
    close(fd);
    if (!is_pipe)
        setitimer(ITIMER_REAL, &never, NULL);
    errno = saved;
}

void closing_connection(int fd) {
    int unread = 0;
    if (fd < 0)
        return;
    shutdown(fd, SHUT_RD); // from here on nothing comes
    if (ioctl(fd, FIONREAD, &unread) < 0 || unread > 0)
        closing_close(fd);
    else
        fd_close(fd);
}
