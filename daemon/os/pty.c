// Pseudo terminals.
#include "daemon/os/pty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/util.h"

static const char CTRL_D = 4;

int pty_resize(int master, unsigned rows, unsigned cols) {
    const struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    return ioctl(master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int pty_open(unsigned rows, unsigned cols, int *ret_slave) {
    _cleanup_close_ int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0)
        return -errno;
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -errno;
    int r = pty_resize(master, rows, cols);
    if (r < 0)
        return r;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    *ret_slave = slave;
    return TAKE_FD(master);
}

int pty_eof(int master, int line_begun, char *ret_character) {
    struct termios settings; // a master tells those of its slave
    bool known = master >= 0 && tcgetattr(master, &settings) == 0;
    *ret_character = CTRL_D;
    if (known && settings.c_cc[VEOF] != _POSIX_VDISABLE)
        memcpy(ret_character, &settings.c_cc[VEOF], 1);
    bool by_lines = !known || (settings.c_lflag & ICANON);
    return line_begun && by_lines ? 2 : 1;
}
