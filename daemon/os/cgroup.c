// Cgroups by number.
#include "daemon/os/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/cgroup_file.h"
#include "daemon/os/cgroup_files.h"
#include "daemon/os/cgroup_find.h"

enum { POOL_MAX = 64, DEPTH_MAX = 16 };

struct cgroup_host {
    struct ev_loop *loop;
    char *path; // owned
    int fd;     // of the directory
    int inotify;
    struct ev_io io;
    void (*changed)(int watch, void *data);
    void *data;
    int next;
    struct {
        struct cgroup cgroup;
        struct cgroup_usage used; // by the jobs before
    } pool[POOL_MAX];
    int pooled;
    struct cgroup_files *files; // owned
    unsigned controllers;       // that jobs have
    char why[160];              // not all of them
    bool is_resuming;           // until it is settled
    uint64_t *claimed;          // owned: a bit each, meanwhile
    size_t claimed_words;
};

static const char *job_file(char *name, size_t size, int number, const char *file) {
    snprintf(name, size, "j%d/%s", number, file);
    return name;
}

// Removes a cgroup and those that a job made below it. What is not empty stays.
static void cgroup_remove(int dir, const char *name, int depth) {
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno != EBUSY || depth > DEPTH_MAX)
        return;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *below = fd < 0 ? NULL : fdopendir(fd);
    if (!below) {
        fd_close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(below));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            cgroup_remove(dirfd(below), e->d_name, depth + 1);
    closedir(below);
    unlinkat(dir, name, AT_REMOVEDIR);
}

static void on_inotify(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    struct cgroup_host *host = io->data;
    char space[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(host->inotify, space, sizeof(space));
    for (char *at = space; n > 0 && at < space + n;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
        at += sizeof(*event) + event->len;
        if (!(event->mask & IN_IGNORED))
            host->changed(event->wd, host->data);
    }
}

void cgroup_host_listen(struct cgroup_host *host, void (*changed)(int watch, void *data), void *data) {
    host->changed = changed;
    host->data = data;
}

int cgroup_watch(struct cgroup_host *host, int number) {
    char name[32], path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", host->path, job_file(name, sizeof(name), number, "cgroup.events"));
    int watch = inotify_add_watch(host->inotify, path, IN_MODIFY);
    return watch < 0 ? -errno : watch;
}

void cgroup_unwatch(struct cgroup_host *host, int watch) {
    inotify_rm_watch(host->inotify, watch);
}

static bool cgroup_claimed(const struct cgroup_host *host, int number) {
    size_t word = (size_t)number / 64;
    return word < host->claimed_words && (host->claimed[word] >> (number % 64) & 1);
}

void cgroup_claim(struct cgroup_host *host, int number) {
    size_t words = (size_t)number / 64 + 1;
    if (words > host->claimed_words) {
        uint64_t *more = realloc(host->claimed, words * sizeof(*more));
        if (!more)
            return;
        memset(more + host->claimed_words, 0, (words - host->claimed_words) * sizeof(*more));
        host->claimed = more;
        host->claimed_words = words;
    }
    host->claimed[words - 1] |= 1ull << (number % 64);
    host->next = MAX(host->next, number + 1);
}

enum clear { CLEAR_ALL, CLEAR_EMPTY, CLEAR_NOTHING };

// Jobs of a daemon that is gone have nobody who would tell their end: they end here.
static void cgroup_host_clear(struct cgroup_host *host, enum clear how) {
    int fd = openat(host->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fd_close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char file[300];
        if (e->d_type != DT_DIR || e->d_name[0] != 'j')
            continue;
        snprintf(file, sizeof(file), "%s/cgroup.kill", e->d_name);
        if (how == CLEAR_ALL)
            cgroup_file_write(host->fd, file, "1");
        if (how == CLEAR_ALL || (how == CLEAR_EMPTY && !cgroup_claimed(host, atoi(e->d_name + 1))))
            cgroup_remove(host->fd, e->d_name, 0);
        host->next = MAX(host->next, atoi(e->d_name + 1) + 1); // one that still dies keeps its number
    }
    closedir(dir);
}

void cgroup_host_settle(struct cgroup_host *host) {
    if (host->is_resuming)
        cgroup_host_clear(host, CLEAR_EMPTY);
    host->is_resuming = false;
    free(TAKE_PTR(host->claimed));
    host->claimed_words = 0;
}

int cgroup_host_new(struct ev_loop *loop, const char *name, pid_t keeper, bool resumed, int open_max,
                    struct cgroup_host **ret_host, char why[160]) {
    struct cgroup_host *host = calloc(1, sizeof(*host));
    struct cgroup_files *files = host ? cgroup_files_new(open_max) : NULL;
    if (!files) {
        free(host);
        return -ENOMEM;
    }
    *host = (struct cgroup_host){.loop = loop, .fd = -1, .inotify = -1, .files = files, .is_resuming = resumed};
    ev_init(&host->io, on_inotify);
    int r = cgroup_find(name, &host->path, why);
    if (r == 0 && (host->fd = open(host->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = -errno;
    if (r == 0) {
        cgroup_host_clear(host, resumed ? CLEAR_NOTHING : CLEAR_ALL);
        r = cgroup_try(host->fd, why);
    }
    if (r == 0 && (host->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0) {
        r = -errno;
        snprintf(why, 160, "inotify: %s", strerror(-r));
    }
    if (r < 0) {
        cgroup_host_free(host);
        return r;
    }
    host->controllers = cgroup_control_begin(host->fd, host->path, keeper, host->why);
    ev_io_set(&host->io, host->inotify, EV_READ);
    host->io.data = host;
    ev_io_start(loop, &host->io);
    ev_unref(loop);
    *ret_host = host;
    return 0;
}

void cgroup_host_free(struct cgroup_host *host) {
    if (!host)
        return;
    if (host->inotify >= 0) {
        ev_ref(host->loop);
        ev_io_stop(host->loop, &host->io);
        close(host->inotify);
    }
    for (int i = 0; i < host->next && host->fd >= 0; i++) {
        char name[16];
        snprintf(name, sizeof(name), "j%d", i);
        cgroup_remove(host->fd, name, 0);
    }
    if (host->fd >= 0)
        close(host->fd);
    if (host->path)
        rmdir(host->path);
    cgroup_files_free(host->files);
    free(host->claimed);
    free(host->path);
    free(host);
}

const char *cgroup_host_path(const struct cgroup_host *host) {
    return host->path;
}

unsigned cgroup_host_controllers(const struct cgroup_host *host, const char **ret_why) {
    *ret_why = host->why;
    return host->controllers;
}

void cgroup_take(struct cgroup_host *host, bool fresh, struct cgroup *ret_cgroup, struct cgroup_usage *ret_used) {
    bool pooled = !fresh && host->pooled > 0;
    if (pooled)
        *ret_cgroup = host->pool[--host->pooled].cgroup;
    else
        *ret_cgroup = (struct cgroup){.number = host->next++, .place = -1};
    *ret_used = pooled ? host->pool[host->pooled].used : CGROUP_UNUSED;
    if (!fresh)
        cgroup_files_take(host->files, ret_cgroup);
    if (host->is_resuming)
        cgroup_claim(host, ret_cgroup->number); // it is made by another thread, while what nobody claims is removed
}

void cgroup_launched(struct cgroup_host *host, const struct cgroup *cgroup) {
    cgroup_files_launched(host->files, cgroup);
}

void cgroup_give(struct cgroup_host *host, struct cgroup *cgroup, const struct cgroup_usage *used) {
    char name[16];
    // The peak of memory is since the cgroup was made.
    if (used && host->pooled < POOL_MAX && !(host->controllers & CGROUP_MEMORY)) {
        cgroup_files_pool(host->files, cgroup);
        host->pool[host->pooled].cgroup = *cgroup;
        host->pool[host->pooled++].used = *used;
        return;
    }
    cgroup_files_give(host->files, cgroup);
    snprintf(name, sizeof(name), "j%d", cgroup->number);
    cgroup_remove(host->fd, name, 0);
}

static int directory_open(const struct cgroup_host *host, int number) {
    char name[16];
    snprintf(name, sizeof(name), "j%d", number);
    int fd = openat(host->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? -errno : fd;
    if (mkdirat(host->fd, name, 0755) < 0)
        return -errno;
    fd = openat(host->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cgroup_open(struct cgroup_host *host, const struct cgroup *cgroup, int *ret_own) {
    int fd = cgroup_files_directory(host->files, cgroup);
    if (fd < 0) {
        fd = directory_open(host, cgroup->number);
        if (fd >= 0 && !cgroup_files_open(host->files, cgroup, fd))
            *ret_own = fd;
    }
    return fd;
}

int cgroup_state(const struct cgroup_host *host, const struct cgroup *cgroup) {
    char name[32], text[128];
    int events = cgroup_files_events(host->files, cgroup);
    ssize_t n = events >= 0 ? cgroup_file_again(events, text, sizeof(text))
                            : cgroup_file_read(host->fd, job_file(name, sizeof(name), cgroup->number, "cgroup.events"),
                                               text, sizeof(text));
    if (n < 0)
        return n == -ENOENT || n == -ENODEV ? CGROUP_GONE : (int)n;
    return (strstr(text, "populated 0") ? 0 : CGROUP_POPULATED) | (strstr(text, "frozen 1") ? CGROUP_FROZEN : 0);
}

int cgroup_kill(const struct cgroup_host *host, int number) {
    char name[32];
    return cgroup_file_write(host->fd, job_file(name, sizeof(name), number, "cgroup.kill"), "1");
}

static int pids_below(int dir, const char *name, pid_t *pids, size_t max, size_t *count, int depth) {
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *here = fd < 0 ? NULL : fdopendir(fd);
    if (!here) {
        int r = -errno;
        fd_close(fd);
        return r;
    }
    int procs = openat(dirfd(here), "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = procs < 0 ? NULL : fdopen(procs, "r");
    for (int pid; file && fscanf(file, "%d", &pid) == 1; (*count)++)
        if (*count < max)
            pids[*count] = pid;
    if (file)
        fclose(file);
    else
        fd_close(procs);
    for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(here));)
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            pids_below(dirfd(here), e->d_name, pids, max, count, depth + 1);
    closedir(here);
    return 0;
}

int cgroup_pids(const struct cgroup_host *host, int number, pid_t *pids, size_t max) {
    char name[16];
    size_t count = 0;
    snprintf(name, sizeof(name), "j%d", number);
    int r = pids_below(host->fd, name, pids, max, &count, 0);
    return r < 0 ? r : (int)MIN(count, max);
}

int cgroup_usage(const struct cgroup_host *host, const struct cgroup *cgroup, bool all,
                 struct cgroup_usage *ret_usage) {
    char name[16];
    snprintf(name, sizeof(name), "j%d", cgroup->number);
    return cgroup_usage_read(host->fd, name, cgroup_files_cpu(host->files, cgroup), host->controllers, all, ret_usage);
}

bool cgroup_holds(const struct cgroup_host *host, int number, pid_t pid) {
    char path[64], text[PATH_MAX], part[96];
    const char *last = strrchr(host->path, '/');
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    snprintf(part, sizeof(part), "%s/j%d", last, number);
    if (cgroup_file_read(AT_FDCWD, path, text, sizeof(text)) < 0)
        return false;
    const char *found = strstr(text, part);
    return found && (found[strlen(part)] == '\n' || found[strlen(part)] == '/');
}
