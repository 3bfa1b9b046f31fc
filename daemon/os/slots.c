// Reserved descriptors.
#include "daemon/os/slots.h"

#include <fcntl.h>

#include "common/util.h"

int slots_reserve(int launchers, int ret_slots[SLOTS_LAUNCHERS][SLOT_COUNT]) {
    int fd;
    do { // whoever writes to an unopened stdout must not write into something else
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return -errno;
    } while (fd < 3);
    close(fd);
    for (int l = 0; l < launchers; l++)
        for (int s = 0; s < SLOT_COUNT; s++) {
            ret_slots[l][s] = open("/dev/null", O_RDWR | O_CLOEXEC);
            if (ret_slots[l][s] < 0)
                return -errno;
        }
    return 0;
}

int slots_reset(const int *slots, int count) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int r = null < 0 ? -errno : 0;
    for (int i = 0; i < count && r == 0; i++)
        r = slot_lay(slots[i], -1, null);
    fd_close(null);
    return r;
}

int slot_lay(int slot, int fd, int null) {
    return dup3(fd < 0 ? null : fd, slot, O_CLOEXEC) < 0 ? -errno : 0;
}
