// Starting the daemon on demand.
#include "client/daemon_start.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "client/version.h"
#include "common/unixsock.h"
#include "common/util.h"

enum { START_LIMIT_MS = 30000 }; // for a daemon that neither comes up nor ends

struct start {
    const char *socket;
    bool system;
    char dir[PATH_MAX]; // of the socket
    char log[PATH_MAX + 16];
    char *why;
};

static int start_fail(struct start *start, const char *what, const char *on, int r) {
    snprintf(start->why, 1024, "%s: %.300s: %s", what, on, strerror(-r));
    return r;
}

// The directory must be nobody else's: it holds the socket through which commands are run.
static int start_directory(struct start *start) {
    struct stat st;
    if (mkdir(start->dir, 0700) < 0 && errno != EEXIST)
        return start_fail(start, "starting supd: its directory", start->dir, -errno);
    if (lstat(start->dir, &st) < 0)
        return start_fail(start, "starting supd: its directory", start->dir, -errno);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return start_fail(start, "starting supd: its directory is not this user's", start->dir, -EPERM);
    return 0;
}

// Where supd tells that it is ready, as systemd would hear it (sd_notify(3)): a datagram socket with a name
// of the kernel's choosing (autobind, unix(7)).
static int start_notify_open(char variable[64]) {
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address.sun_family);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0)
        return -errno;
    size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    int length = (int)(size - offsetof(struct sockaddr_un, sun_path) - 1);
    snprintf(variable, 64, "NOTIFY_SOCKET=@%.*s", MAX(length, 0), address.sun_path + 1);
    return TAKE_FD(fd);
}

// supd beside this program in its build tree, else where it is installed; else by PATH.
static void start_program(char path[PATH_MAX]) {
    char self[PATH_MAX - 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[MAX(n, 0)] = 0;
    char beside[PATH_MAX];
    snprintf(beside, sizeof(beside), "%s/../daemon/supd", dirname(self));
    if (realpath(beside, path) && access(path, X_OK) == 0)
        return;
    snprintf(path, PATH_MAX, "%s", SUPD_PROGRAM);
    if (access(path, X_OK) < 0)
        snprintf(path, PATH_MAX, "supd");
}

static char **start_environment(char *variable) {
    size_t n = 0;
    while (environ[n])
        n++;
    char **environment = calloc(n + 2, sizeof(char *));
    if (!environment)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "NOTIFY_SOCKET=", strlen("NOTIFY_SOCKET=")) != 0)
            environment[kept++] = environ[i];
    environment[kept] = variable;
    return environment;
}

static int start_spawn(struct start *start, char *notify, pid_t *ret_pid) {
    char program[PATH_MAX], scope[16];
    start_program(program);
    snprintf(scope, sizeof(scope), "--%s", start->system ? "system" : "user");
    char idle[] = "--idle-exit", seconds[] = "600";
    char *argv[] = {program, scope, idle, seconds, NULL};
    _cleanup_free_ char **environment = start_environment(notify);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t signals;
    sigfillset(&signals);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int r = environment ? 0 : ENOMEM;
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&files, 2, start->log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (r == 0)
        r = posix_spawn_file_actions_addchdir_np(&files, "/");
    if (r == 0)
        r = posix_spawnp(ret_pid, program, &files, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return r == 0 ? 0 : start_fail(start, "starting supd", program, -r);
}

// The last line of what supd wrote says why it ended.
static void start_last_words(const struct start *start, char *line, size_t size) {
    _cleanup_close_ int fd = open(start->log, O_RDONLY | O_CLOEXEC);
    char text[400];
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    ssize_t n = end > 0 ? pread(fd, text, sizeof(text) - 1, MAX(end - (off_t)sizeof(text) + 1, 0)) : 0;
    for (; n > 0 && text[n - 1] == '\n'; n--)
        ;
    text[MAX(n, 0)] = 0;
    const char *newline = strrchr(text, '\n');
    snprintf(line, size, "%s", newline ? newline + 1 : text);
}

static int start_wait(struct start *start, int notify, pid_t pid) {
    _cleanup_close_ int end = pidfd_open(pid, 0);
    double until = now_mono() + START_LIMIT_MS / 1000.0;
    while (end >= 0) {
        struct pollfd events[] = {{.fd = notify, .events = POLLIN}, {.fd = end, .events = POLLIN}};
        int n = poll(events, 2, (int)MAX((until - now_mono()) * 1000, 0));
        if (n < 0 && errno == EINTR)
            continue;
        char message[256];
        if (n > 0 && (events[0].revents & POLLIN) && recv(notify, message, sizeof(message), MSG_DONTWAIT) > 0) {
            int fd = unixsock_connect(start->socket);
            if (fd >= 0)
                return fd;
            continue; // not from supd
        }
        if (n > 0 && (events[1].revents & POLLIN)) {
            char words[512];
            waitpid(pid, NULL, WNOHANG);
            start_last_words(start, words, sizeof(words));
            snprintf(start->why, 1024, "starting supd: it ended at its start: %s (see %.200s)", words, start->log);
            return -ECHILD;
        }
        if (n <= 0)
            break;
    }
    snprintf(start->why, 1024, "starting supd: it does not come up: see %.300s", start->log);
    return -ETIMEDOUT;
}

int daemon_start(const char *path, bool system, char why[1024]) {
    struct start start = {.socket = path, .system = system, .why = why};
    char copy[PATH_MAX], lock_path[PATH_MAX + 16], notify[64];
    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(start.dir, sizeof(start.dir), "%s", dirname(copy));
    snprintf(start.log, sizeof(start.log), "%s/supd.log", start.dir);
    snprintf(lock_path, sizeof(lock_path), "%s/start.lock", start.dir);
    int r = start_directory(&start);
    if (r < 0)
        return r;
    _cleanup_close_ int lock = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return start_fail(&start, "starting supd", lock_path, -errno);
    int fd = unixsock_connect(path); // of one that another has started meanwhile
    if (fd >= 0)
        return fd;
    _cleanup_close_ int ready = start_notify_open(notify);
    if (ready < 0)
        return start_fail(&start, "starting supd", "its readiness socket", ready);
    pid_t pid;
    r = start_spawn(&start, notify, &pid);
    return r < 0 ? r : start_wait(&start, ready, pid);
}
