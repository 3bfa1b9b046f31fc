// child: the program that the tests run as a job. One subcommand for each way in which a program behaves.
// It prints with write(2) alone, so that what a test sees is what was written, in the order written.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECORD 16 // bytes of one record of a flood

static void put(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            _exit(111);
        data += n;
        size -= (size_t)n;
    }
}

__attribute__((format(printf, 2, 3))) static void say(int fd, const char *format, ...) {
    char text[4200];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(fd, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static void wait_seconds(double seconds) {
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static _Noreturn void wait_forever(void) {
    for (;;)
        pause();
}

static double number_at(int argc, char **argv, int at, double fallback) {
    return argc > at ? atof(argv[at]) : fallback;
}

static pid_t fork_or_die(void) {
    pid_t pid = fork();
    if (pid < 0) {
        say(2, "child: fork failed\n");
        _exit(112);
    }
    return pid;
}

static int do_exit(int argc, char **argv) {
    return (int)number_at(argc, argv, 2, 0);
}

static int do_kill(int argc, char **argv) {
    int sig = (int)number_at(argc, argv, 2, SIGTERM);
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(sig, SIG_DFL);
    raise(sig);
    wait_forever();
}

static int do_sleep(int argc, char **argv) {
    wait_seconds(number_at(argc, argv, 2, 1));
    return 0;
}

// Record k of a flood is its own offset, 16 * k, as 15 digits and a newline: a lost byte shows, and where.
static int do_flood(int argc, char **argv) {
    static const size_t records = 65536 / RECORD;
    unsigned long long left = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
    char *block = malloc(records * RECORD);
    if (!block)
        return 113;
    for (unsigned long long offset = 0; left > 0;) {
        for (size_t i = 0; i < records; i++, offset += RECORD) {
            unsigned long long rest = offset;
            char *record = block + i * RECORD;
            for (int digit = RECORD - 2; digit >= 0; digit--, rest /= 10)
                record[digit] = (char)('0' + rest % 10);
            record[RECORD - 1] = '\n';
        }
        size_t size = left < records * RECORD ? (size_t)left : records * RECORD;
        put(1, block, size);
        left -= size;
    }
    free(block);
    return 0;
}

static int do_lines(int argc, char **argv) {
    for (int i = 1, n = (int)number_at(argc, argv, 2, 10); i <= n; i++)
        say(1, "line %d\n", i);
    return 0;
}

// Until the other side has read all that was written to the pipe; anything else is at once.
static void confirm_read(int fd) {
    int unread = 1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
        return;
    while (ioctl(fd, FIONREAD, &unread) == 0 && unread > 0)
        wait_seconds(0.001);
}

static int do_both(int argc, char **argv) {
    for (int i = 0, n = (int)number_at(argc, argv, 2, 5); i < n; i++) {
        say(1, "out %d\n", i);
        confirm_read(1);
        say(2, "err %d\n", i);
        confirm_read(2);
    }
    return 0;
}

static int do_ignore_term(int argc, char **argv) {
    signal(SIGTERM, SIG_IGN);
    say(1, "ready\n");
    wait_forever();
}

// Says by name every signal that comes; SIGTERM ends it with the code given.
static int do_signals(int argc, char **argv) {
    static const int known[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        sigaddset(&set, known[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say(1, "ready\n");
    for (;;) {
        int sig = 0;
        if (sigwait(&set, &sig) != 0)
            return 114;
        say(1, "SIG%s\n", sigabbrev_np(sig));
        if (sig == SIGTERM)
            return (int)number_at(argc, argv, 2, 0);
    }
}

static void close_outputs(void) {
    close(1);
    close(2);
}

// In a session of its own, its parent gone: the grandchild that nothing but a tree finds.
// Returns in the grandchild; the leader leaves once the grandchild has written its pid.
static void escape(void) {
    int done[2];
    char byte;
    if (pipe2(done, O_CLOEXEC) < 0)
        _exit(115);
    if (fork_or_die() > 0) {
        close(done[1]);
        while (read(done[0], &byte, 1) < 0 && errno == EINTR)
            ;
        wait(NULL); // the one in between: who looks at what is left finds one
        _exit(0);
    }
    setsid();
    if (fork_or_die() > 0)
        _exit(0);
    say(1, "%d\n", getpid());
    put(done[1], "x", 1);
    close(done[0]);
    close(done[1]);
}

// fork-away [hold | close | SECONDS]: the grandchild holds the pipes for ever, closes them, or ends in time.
static int do_fork_away(int argc, char **argv) {
    const char *how = argc > 2 ? argv[2] : "hold";
    escape();
    if (strcmp(how, "close") == 0)
        close_outputs();
    if (strcmp(how, "close") == 0 || strcmp(how, "hold") == 0)
        wait_forever();
    wait_seconds(atof(how));
    say(1, "late\n");
    return 0;
}

static int do_close_pipes(int argc, char **argv) {
    close_outputs();
    wait_forever();
}

// As fork-away, but a plain child in the leader's own session and process group.
static int do_hold_pipe(int argc, char **argv) {
    double seconds = number_at(argc, argv, 2, 1e9);
    pid_t pid = fork_or_die();
    if (pid == 0) {
        wait_seconds(seconds);
        return 0;
    }
    say(1, "%d\n", pid);
    return 0;
}

static int do_not_utf8(int argc, char **argv) {
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    put(1, bytes, sizeof bytes);
    put(1, "\xc3", 1);             // the first half of a letter
    put(1, "\xe2\x82", 2);         // two thirds of a euro sign
    put(1, "\xed\xa0\x80", 3);     // a surrogate, which UTF-8 forbids
    put(1, "\xf5\x80\x80\x80", 4); // above the last code point
    return 0;
}

// COUNT euro signs of three bytes each, written byte by byte.
static int do_euros(int argc, char **argv) {
    static const char euro[] = "\xe2\x82\xac";
    for (int i = 0, n = 3 * (int)number_at(argc, argv, 2, 10); i < n; i++)
        put(1, &euro[i % 3], 1);
    return 0;
}

static int do_nul(int argc, char **argv) {
    put(1, "a\0b\n", 4);
    return 0;
}

static int do_cat(int argc, char **argv) {
    char block[65536];
    for (;;) {
        ssize_t n = read(0, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? 116 : 0;
        put(1, block, (size_t)n);
    }
}

static int do_fds(int argc, char **argv) {
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 117;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir))
            continue;
        char path[300], target[512];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n < 0 ? 0 : n] = '\0';
        say(1, "%d %s\n", atoi(entry->d_name), target);
    }
    closedir(dir);
    return 0;
}

static int do_env(int argc, char **argv) {
    for (char **variable = environ; *variable; variable++)
        say(1, "%s\n", *variable);
    return 0;
}

static int do_args(int argc, char **argv) {
    for (int i = 2; i < argc; i++)
        put(1, argv[i], strlen(argv[i]) + 1);
    return 0;
}

static int do_sigs(int argc, char **argv) {
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    if (!status)
        return 118;
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "Sig", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0)
            say(1, "%s", line);
    fclose(status);
    return 0;
}

// bomb N: N processes, each in its own session and without a parent in the tree; "ready" when all stand.
static int do_bomb(int argc, char **argv) {
    int count = (int)number_at(argc, argv, 2, 10), up[2];
    if (pipe2(up, O_CLOEXEC) < 0)
        return 119;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork_or_die();
        if (pid > 0) {
            waitpid(pid, NULL, 0);
            continue;
        }
        setsid();
        if (fork_or_die() > 0)
            _exit(0);
        put(up[1], "x", 1);
        wait_forever();
    }
    for (int i = 0; i < count; i++) {
        char byte;
        if (read(up[0], &byte, 1) != 1)
            return 120;
    }
    say(1, "ready\n");
    wait_forever();
}

static _Noreturn void spin(void) {
    for (volatile unsigned long turns = 0;; turns++)
        ;
}

static int do_spin(int argc, char **argv) {
    say(1, "ready\n");
    spin();
}

// The leader waits for its child, and only the child's child burns CPU.
static int do_spin_tree(int argc, char **argv) {
    if (fork_or_die() > 0) {
        wait(NULL);
        wait_forever();
    }
    if (fork_or_die() > 0)
        wait_forever();
    say(1, "ready\n");
    spin();
}

static int do_umask(int argc, char **argv) {
    say(1, "%03o\n", (unsigned)umask(0));
    return 0;
}

static int do_cwd(int argc, char **argv) {
    char path[4096];
    say(1, "%s\n", getcwd(path, sizeof path) ? path : "nowhere");
    return 0;
}

static int do_nice(int argc, char **argv) {
    say(1, "%d\n", getpriority(PRIO_PROCESS, 0));
    return 0;
}

static int do_tty(int argc, char **argv) {
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        say(1, "%d\n", isatty(fd));
    say(1, "%s\n", terminal < 0 ? "no controlling terminal" : "controlling terminal");
    if (terminal >= 0)
        close(terminal);
    return 0;
}

static int do_ids(int argc, char **argv) {
    say(1, "pid %d\nsid %d\npgid %d\nuid %d\n", getpid(), getsid(0), getpgid(0), (int)getuid());
    return 0;
}

// says TEXT CODE: TEXT to stderr and the end, as a program that complains.
static int do_says(int argc, char **argv) {
    say(2, "%s\n", argc > 2 ? argv[2] : "");
    return (int)number_at(argc, argv, 3, 1);
}

int main(int argc, char **argv) {
    static const struct command {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        // clang-format off
        {"args", do_args}, {"bomb", do_bomb}, {"both", do_both}, {"cat", do_cat},
        {"close-pipes", do_close_pipes}, {"cwd", do_cwd}, {"env", do_env}, {"euros", do_euros},
        {"exit", do_exit}, {"fds", do_fds}, {"flood", do_flood}, {"fork-away", do_fork_away},
        {"hold-pipe", do_hold_pipe}, {"ids", do_ids}, {"ignore-term", do_ignore_term}, {"kill", do_kill},
        {"lines", do_lines}, {"nice", do_nice}, {"not-utf8", do_not_utf8}, {"nul", do_nul},
        {"says", do_says}, {"signals", do_signals}, {"sigs", do_sigs}, {"sleep", do_sleep},
        {"spin", do_spin}, {"spin-tree", do_spin_tree}, {"tty", do_tty}, {"umask", do_umask},
        // clang-format on
    };
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc, argv);
    say(2, "child: which subcommand?\n");
    return 122;
}
