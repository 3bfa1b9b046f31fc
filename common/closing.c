// Closing under a clock, or elsewhere.
#include "common/closing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/util.h"

enum { MOMENT = 1000 }; // microseconds

enum manner { AT_ONCE, MAY_LINGER, MAY_HANG };

static const struct closing_host *host;

void closing_set_host(const struct closing_host *new_host) {
    host = new_host;
}

bool closing_may_take(uid_t from) {
    return !host || host->may(from, host->data);
}

static void on_alarm(int signal) {
    // That it comes is all there is to it.
}

void closing_clock_start(void) {
    // Again and again, as the first one may come before there is a wait.
    const struct itimerval soon = {{0, MOMENT}, {0, MOMENT}};
    struct sigaction now, ours = {.sa_handler = on_alarm};
    if (sigaction(SIGALRM, NULL, &now) == 0 && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN))
        sigaction(SIGALRM, &ours, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
}

void closing_clock_stop(void) {
    const struct itimerval never = {{0, 0}, {0, 0}};
    int saved = errno;
    setitimer(ITIMER_REAL, &never, NULL);
    errno = saved;
}

// What is known without asking whoever serves the file: fstat(2) and fstatfs(2) of a FUSE do ask.
static int look(int fd, struct statx *ret) {
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, ret);
}

// Whether no mount that is ours has it, or a FUSE does: fstatfs(2) would ask its server. What is mounted elsewhere may be a FUSE,
// or stand above one (an overlay of a user's own), unless its file system is mounted here, too.
static bool is_mounted_by_others(const struct statx *st) {
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    bool found = false, fuse = false;
    FILE *mounts = fopen("/proc/self/mountinfo", "re"); // "ID PARENT MAJOR:MINOR ... - TYPE ..." (proc(5))
    while (mounts && !found && getline(&line, &size, mounts) >= 0) {
        unsigned long long id;
        unsigned major, minor;
        const char *type = strstr(line, " - ");
        found = sscanf(line, "%llu %*d %u:%u", &id, &major, &minor) == 3 &&
                ((major == st->stx_dev_major && minor == st->stx_dev_minor) ||
                 ((st->stx_mask & STATX_MNT_ID) && id == st->stx_mnt_id)); // from Linux 5.8 on
        fuse = found && type && (strncmp(type, " - fuse ", 8) == 0 || strncmp(type, " - fuse.", 8) == 0);
    }
    if (mounts)
        fclose(mounts);
    return !found || fuse;
}

// Btrfs has a device for each subvolume, of which no mount tells. Which file system wrote a handle of a file is told by the kernel
// alone, and asks nobody (name_to_handle_at(2); linux/exportfs.h: FILEID_BTRFS_*).
static bool is_btrfs(int fd) {
    union {
        struct file_handle handle;
        unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } u = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    return name_to_handle_at(fd, "", &u.handle, &mount, AT_EMPTY_PATH) == 0 && u.handle.handle_type >= 0x4d &&
           u.handle.handle_type <= 0x4f;
}

bool closing_is_foreign(int fd) {
    struct statx st;
    if (look(fd, &st) < 0)
        return errno == EACCES; // "FUSE access control": who is not asked for may not even look (fuse(4))
    bool may_be = st.stx_dev_major == 0 && (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode));
    return may_be && fcntl(fd, F_GET_SEALS) < 0 && is_mounted_by_others(&st) && !is_btrfs(fd);
}

static enum manner manner_of(int fd) {
    struct statx st;
    if (fcntl(fd, F_GETPIPE_SZ) >= 0 || fcntl(fd, F_GET_SEALS) >= 0) // pipes, which are most, and files in memory
        return AT_ONCE;
    if (look(fd, &st) < 0)
        return MAY_HANG;
    if (!S_ISREG(st.stx_mode) && !S_ISDIR(st.stx_mode))
        return MAY_LINGER;
    return st.stx_dev_major == 0 ? MAY_HANG : AT_ONCE; // no disk: some other file system, or a server
}

bool closing_may_hang(int fd) {
    return manner_of(fd) == MAY_HANG;
}

void closing_close(int fd, uid_t from) {
    int saved = errno;
    enum manner manner = manner_of(fd);
    if (manner == MAY_HANG && host && host->close(fd, from, host->data)) {
        errno = saved;
        return;
    }
    if (manner != AT_ONCE)
        closing_clock_start();
    close(fd);
    if (manner != AT_ONCE)
        closing_clock_stop();
    errno = saved;
}

void closing_connection(int fd) {
    int unread = 0;
    if (fd < 0)
        return;
    shutdown(fd, SHUT_RD); // from here on nothing comes
    bool may_linger = ioctl(fd, FIONREAD, &unread) < 0 || unread > 0;
    if (may_linger)
        closing_clock_start();
    fd_close(fd);
    if (may_linger)
        closing_clock_stop();
}
