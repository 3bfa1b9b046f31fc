// Raw mode, and back.
#include "client/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/util.h"

// For the handler of a signal that ends the process: the one state of this kind.
static struct {
    volatile sig_atomic_t raw;
    bool prepared;
    struct termios before;
} terminal;

bool terminal_size(unsigned *ret_rows, unsigned *ret_cols) {
    for (int fd = 0; fd < 3; fd++) {
        struct winsize size;
        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
            continue;
        *ret_rows = size.ws_row;
        *ret_cols = size.ws_col;
        return true;
    }
    return false;
}

void terminal_restore(void) {
    if (!terminal.raw)
        return;
    terminal.raw = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
}

bool terminal_is_raw(void) {
    return terminal.raw;
}

// Reset before it runs (SA_RESETHAND), so raising the signal again ends the process by it.
static void on_fatal(int number) {
    int saved = errno;
    terminal_restore();
    errno = saved;
    raise(number);
}

// Every signal that ends a process may end this one, but for those that something else is done with: they are forwarded to
// the job, or ignored. What is left out here ends none (signal(7)).
static void terminal_prepare(void) {
    static const int harmless[] = {SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    const struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
    sigset_t fatal;
    sigfillset(&fatal);
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
        sigdelset(&fatal, harmless[i]);
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction present;
        if (sigismember(&fatal, number) == 1 && sigaction(number, NULL, &present) == 0 && present.sa_handler == SIG_DFL)
            sigaction(number, &action, NULL); // SIGKILL and SIGSTOP stay as they are
    }
    atexit(terminal_restore);
    terminal.prepared = true;
}

int terminal_raw(void) {
    if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
        return -errno;
    if (!terminal.prepared)
        terminal_prepare();
    struct termios raw = terminal.before;
    cfmakeraw(&raw);
    terminal.raw = 1; // from before the change, so that there is no moment without a way back
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0)
        return 0;
    int r = -errno;
    terminal.raw = 0;
    return r;
}
