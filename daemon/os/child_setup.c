// What the daemon has and a child must not inherit.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include "common/util.h"
#include "daemon/os/child.h"

// Handlers and ignored signals are the daemon's; what it has now a child must not inherit.
void child_setup_signals(struct child_setup *setup) {
    for (int n = 1; n <= 64; n++) {
        struct {
            void (*handler)(int);
            unsigned long flags;
            void (*restorer)(void);
            uint64_t mask;
        } now = {0};
        if (n != SIGKILL && n != SIGSTOP && syscall(SYS_rt_sigaction, n, NULL, &now, sizeof(uint64_t)) == 0 &&
            now.handler != SIG_DFL)
            setup->ignored |= 1ull << (n - 1);
    }
}

bool child_setup_oom(void) {
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    fd_close(fd);
    return n > 0 && atoi(text) != 0;
}
