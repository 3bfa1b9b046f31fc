// intruder: what a program of a user without privileges may try against supd, and against what holds its own tree.
// It prints one line for each thing tried: what, and how it ended ("ok", or the error's name).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef SYS_poll
#define AT_REST SYS_poll
#else
#define AT_REST SYS_ppoll
#endif

static int say(const char *what, long result) {
    dprintf(1, "%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
    return result < 0 ? -1 : 0;
}

static _Noreturn void wait_forever(void) {
    for (;;)
        pause();
}

static pid_t fork_or_die(void) {
    pid_t pid = fork();
    if (pid < 0) {
        say("fork", -1);
        _exit(110);
    }
    return pid;
}

static pid_t clone_with(unsigned long flags) {
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static void try_open(const char *what, pid_t pid, const char *file, int flags) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int fd = open(path, flags);
    say(what, fd);
    if (fd >= 0)
        close(fd);
}

static void try_read(const char *what, pid_t pid, const char *file) {
    char path[64], byte;
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY);
    say(what, fd < 0 ? -1 : read(fd, &byte, 1));
    if (fd >= 0)
        close(fd);
}

// Everything by which one looks into another process or takes it over.
static int do_probe(pid_t pid) {
    char path[64], link[256], byte;
    struct iovec to = {&byte, 1}, from = {(void *)(uintptr_t)&byte, 1};
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    say("seize", ptrace(PTRACE_SEIZE, pid, 0, 0));
    say("attach", ptrace(PTRACE_ATTACH, pid, 0, 0));
    say("readv", process_vm_readv(pid, &to, 1, &from, 1, 0) < 0 && errno != EFAULT ? -1 : 0);
    say("getfd", syscall(SYS_pidfd_getfd, pidfd, 0, 0));
    try_open("mem", pid, "mem", O_RDWR);
    try_open("fds", pid, "fd", O_RDONLY | O_DIRECTORY);
    try_open("fd", pid, "fd/0", O_RDONLY);
    try_read("environ", pid, "environ");
    try_read("maps", pid, "maps");
    try_open("adj", pid, "oom_score_adj", O_WRONLY);
    snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
    say("cwd", readlink(path, link, sizeof(link)));
    return 0;
}

static int do_signal(pid_t pid, int signal) {
    return say("signal", kill(pid, signal));
}

// Siblings: children of whoever is our parent, who did not make them.
static int do_siblings(int count) {
    for (int i = 0; i < count; i++) {
        pid_t pid = clone_with(CLONE_PARENT);
        if (pid == 0)
            _exit(0);
        if (pid < 0)
            return say("clone", -1);
    }
    return say("siblings", 0);
}

// The leader ends while somebody of its tree traces it, who never looks.
static int do_traced(void) {
    int up[2], go[2];
    char byte;
    if (pipe2(up, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
        return 111;
    pid_t leader = getpid(), tracer = fork_or_die();
    if (tracer == 0) {
        setsid();
        if (read(go[0], &byte, 1) != 1)
            _exit(112);
        if (say("seize", ptrace(PTRACE_SEIZE, leader, 0, 0)) == 0)
            dprintf(1, "%d\n", (int)getpid());
        if (write(up[1], "x", 1) != 1)
            _exit(113);
        wait_forever();
    }
    prctl(PR_SET_PTRACER, tracer, 0, 0, 0); // where yama asks for it
    if (write(go[1], "x", 1) != 1 || read(up[0], &byte, 1) != 1)
        return 114;
    return 7;
}

// Held where it is, as long as we are there.
static void hold_traced(pid_t pid, unsigned long options, int interrupts) {
    int status;
    if (say("seize", ptrace(PTRACE_SEIZE, pid, 0, options)) < 0)
        return;
    if (interrupts && say("interrupt", ptrace(PTRACE_INTERRUPT, pid, 0, 0)) == 0)
        waitpid(pid, &status, __WALL);
    dprintf(1, "held\n");
    wait_forever();
}

// Until it sleeps where it waits for what happens: before that it may still be on its way there.
static void wait_at_rest(pid_t pid) {
    const struct timespec nap = {0, 1000000};
    char path[64];
    long call;
    snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
    for (int found = 0; !found;) { // proc(5): "running", or the number of the call that it is in
        FILE *file = fopen(path, "re");
        int n = file ? fscanf(file, "%ld", &call) : EOF;
        found = n == EOF || (n == 1 && call == AT_REST); // EOF: who may not look goes on
        if (file)
            fclose(file);
        if (!found)
            nanosleep(&nap, NULL);
    }
}

// What holds a tree, where it is of one user with the job. Its socket is descriptor 3.
static int assail(const char *how, pid_t pid) {
    const struct rlimit none = {0, 0};
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int socket = (int)syscall(SYS_pidfd_getfd, pidfd, 3, 0);
    char message[152] = {0}; // reaper_report: the leader has ended; with a 1, nobody is left
    if (strcmp(how, "hold") == 0)
        hold_traced(pid, 0, 1);
    if (strcmp(how, "hold-exit") == 0)
        hold_traced(pid, PTRACE_O_TRACEEXIT, 0);
    if (strcmp(how, "trace") == 0)
        hold_traced(pid, 0, 0);
    if (strcmp(how, "files") == 0)
        say("files", prlimit(pid, RLIMIT_NOFILE, &none, NULL));
    if (strcmp(how, "cpu") == 0)
        say("cpu", prlimit(pid, RLIMIT_CPU, &none, NULL));
    if (strcmp(how, "forge") == 0 || strcmp(how, "flood") == 0) {
        say("forge", send(socket, message, sizeof(message), MSG_NOSIGNAL));
        message[0] = 1;
        send(socket, message, sizeof(message), MSG_NOSIGNAL);
    }
    if (strcmp(how, "flood") == 0 || strcmp(how, "stop") == 0)
        dprintf(1, "held\n");
    while (strcmp(how, "flood") == 0)
        send(socket, message, sizeof(message), MSG_NOSIGNAL);
    if (strcmp(how, "steal") == 0 || strcmp(how, "keep") == 0)
        say("steal", socket);
    else
        close(socket);
    if (strcmp(how, "keep") == 0) {
        dprintf(1, "held\n");
        wait_forever();
    }
    if (strcmp(how, "kill") == 0 || strcmp(how, "steal") == 0)
        say("kill", kill(pid, SIGKILL));
    while (strcmp(how, "stop") == 0) {
        kill(pid, SIGSTOP);
        const struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
    return 0;
}

// Done by one of its tree, in a session of its own, who stays. `then`: the leader ends ("exit") or stays.
static int do_assail(const char *how, const char *then) {
    pid_t holder = getppid();
    if (fork_or_die() == 0) {
        setsid();
        wait_at_rest(holder);
        assail(how, holder);
        dprintf(1, "held\n");
        wait_forever();
    }
    if (strcmp(then, "exit") == 0)
        return 7;
    wait_forever();
}

static const char *program;

// In all the ways there are, and each of them makes others.
enum { WAYS = 12 };
struct bomb {
    volatile int made, target;
};

static _Noreturn void bomb_live(struct bomb *bomb, unsigned seed);

static void bomb_child(struct bomb *bomb, int way, unsigned seed) {
    char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "sleep", NULL}, *const none[] = {NULL};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    switch (way) {
    case 0: // a session of its own, and nobody in between
    case 1:
        setsid();
        if (fork() > 0)
            _exit(0);
        break;
    case 2:
        prctl(PR_SET_NAME, "supd-reaper");
        break;
    case 3: // takes in orphans itself
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        break;
    case 4: // traced by its parent, and stopped
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        break;
    case 5: // stopped, with a child
        if (fork() > 0) {
            raise(SIGSTOP);
            wait_forever();
        }
        break;
    case 6: // users, processes and mounts of its own, where that is allowed
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) == 0 && fork() > 0)
            wait_forever();
        break;
    case 7:
        setpgid(0, 0);
        break;
    case 8: // another program, without an environment
        execve(program, argv, none);
        break;
    case 9:
        for (int n = 1; n < 64; n++)
            sigaction(n, &ignore, NULL);
        break;
    case 10: { // out of the cgroup, if it may
        for (const char *const *at =
                 (const char *const[]){"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", NULL};
             *at; at++) {
            int fd = open(*at, O_WRONLY | O_CLOEXEC);
            if (fd >= 0 && write(fd, "0", 1) == 1)
                _exit(0);
        }
        break;
    }
    default:
        break;
    }
    bomb_live(bomb, seed);
}

static void bomb_make(struct bomb *bomb, unsigned *seed) {
    int way = (int)(rand_r(seed) % WAYS);
    unsigned next = (unsigned)rand_r(seed);
    pid_t pid = clone_with(way == 11 ? CLONE_PARENT : way == 8 ? CLONE_VFORK : 0);
    if (pid == 0)
        bomb_child(bomb, way, next);
    __atomic_add_fetch(&bomb->made, 1, __ATOMIC_SEQ_CST);
}

static _Noreturn void bomb_live(struct bomb *bomb, unsigned seed) {
    for (;;) {
        bomb_make(bomb, &seed);
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ;
        const struct timespec nap = {0, bomb->made < bomb->target ? 2000000 : 50000000};
        nanosleep(&nap, NULL);
    }
}

// Says "ready" once it was tried `count` times, and goes on making others as long as the limit of processes lets it.
static int do_bomb(int count) {
    struct rlimit limit = {(rlim_t)count + 100, (rlim_t)count + 100};
    struct bomb *bomb = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bomb == MAP_FAILED || setrlimit(RLIMIT_NPROC, &limit) < 0)
        return 115;
    bomb->target = count;
    unsigned seed = (unsigned)getpid();
    for (int i = 0; i < 16; i++)
        bomb_make(bomb, &seed);
    while (bomb->made < bomb->target) {
        bomb_make(bomb, &seed);
        const struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
    say("ready", 0);
    bomb_live(bomb, seed);
}

// Makes its parent its tracer once it may read, and is told to it in a stop; then goes on.
static int do_tracee(void) {
    char byte;
    signal(SIGUSR1, SIG_IGN);
    say("read", read(0, &byte, 1));
    say("traceme", ptrace(PTRACE_TRACEME, 0, 0, 0));
    raise(SIGUSR1);
    say("goes-on", 0);
    return 7;
}

// The session keyring, and whether a key of that name is to be had.
static int do_keys(const char *name) {
    say("search", syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0));
    return say("add", syscall(SYS_add_key, "user", "of-a-job", "x", 1ul, KEY_SPEC_SESSION_KEYRING));
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    program = argv[0];
    if (strcmp(word, "probe") == 0)
        return do_probe(number > 0 ? number : getppid());
    if (strcmp(word, "signal") == 0)
        return do_signal(number > 0 ? number : getppid(), atoi(argc > 3 ? argv[3] : "0"));
    if (strcmp(word, "siblings") == 0)
        return do_siblings(number);
    if (strcmp(word, "assail") == 0)
        return do_assail(argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
    if (strcmp(word, "assail-from-outside") == 0)
        return assail(argc > 2 ? argv[2] : "", atoi(argc > 3 ? argv[3] : "0"));
    if (strcmp(word, "traced") == 0)
        return do_traced();
    if (strcmp(word, "tracee") == 0)
        return do_tracee();
    if (strcmp(word, "bomb") == 0)
        return do_bomb(number);
    if (strcmp(word, "keys") == 0)
        return do_keys(argc > 2 ? argv[2] : "");
    if (strcmp(word, "sleep") == 0)
        wait_forever();
    dprintf(2, "intruder: which word?\n");
    return 2;
}
