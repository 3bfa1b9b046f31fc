// heir: a job that says what it has of whoever started it: all that a process gets by inheritance, a line each.
#include <dirent.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Of /proc/self/status: whose it is, what it may, and what becomes of its signals.
static void say_status(void) {
    static const char *const names[] = {"Uid",  "Gid",  "Groups", "Cap",        "SigP",   "SigB",
                                        "SigI", "SigC", "ShdPnd", "NoNewPrivs", "Seccomp"};
    char line[8192];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0) {
                fputs(line, stdout);
                break;
            }
    if (file)
        fclose(file);
}

static void say_file(const char *name, const char *path) {
    char text[256] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[strcspn(text, "\n")] = 0;
    printf("%s: %s\n", name, n > 0 ? text : "?");
}

static void say_limits(void) {
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit = {0, 0};
        syscall(SYS_prlimit64, 0, i, NULL, &limit);
        printf("limit %d: %lld %lld\n", i, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void say_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            printf("descriptor: %s\n", entry->d_name);
    if (directory)
        closedir(directory);
}

// The key of that name, where this process can get it, by any way to it that the kernel has.
static void say_keys(const char *name) {
    static const int rings[] = {KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_SESSION_KEYRING};
    const char *found = "none";
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        if (syscall(SYS_keyctl, KEYCTL_SEARCH, rings[i], "user", name, 0) > 0)
            found = "in a keyring";
    if (syscall(SYS_request_key, "user", name, NULL, 0) > 0)
        found = "by request_key";
    printf("key: %s\n", found);
    // What one job leaves there the next one must not find.
    long left = syscall(SYS_add_key, "user", "left by a job", "x", 1, KEY_SPEC_SESSION_KEYRING);
    printf("session keyring: %s\n", left > 0 ? "to be used" : "closed");
}

static void say_schedule(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    printf("nice: %d\npolicy: %d\nprocessors: %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
           CPU_COUNT(&set));
    printf("io: %ld\n", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
    printf("timer slack: %d\n", prctl(PR_GET_TIMERSLACK));
}

static void say_memory(void) {
    int policy = -1;
    syscall(SYS_get_mempolicy, &policy, NULL, 0, NULL, 0);
    printf("personality: %#x\n", (unsigned)personality(0xffffffff));
    printf("huge pages: %d\nmemory policy: %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), policy);
    say_file("coredump_filter", "/proc/self/coredump_filter");
}

int main(int argc, char **argv) {
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC), death = 0;
    printf("umask: %03o\n", (unsigned)umask(0));
    printf("terminal: %s\n", terminal < 0 ? "none" : "one");
    printf("session: %s\n", getsid(0) == getpid() && getpgid(0) == getpid() ? "its own" : "another's");
    prctl(PR_GET_PDEATHSIG, &death);
    printf("securebits: %d\nparent's death: %d\n", prctl(PR_GET_SECUREBITS), death);
    if (terminal >= 0)
        close(terminal);
    say_status();
    say_file("oom_score_adj", "/proc/self/oom_score_adj");
    say_limits();
    say_schedule();
    say_memory();
    say_descriptors();
    for (char **variable = environ; *variable; variable++)
        printf("variable: %s\n", *variable);
    say_keys(argc > 1 ? argv[1] : "nothing");
    return 0;
}
