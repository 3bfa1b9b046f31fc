// The directory of byte logs.
#include "daemon/store/spool_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/util.h"
#include "daemon/store/lingering.h"

// Seconds until it is looked again where room is needed, for each file that was looked at in vain, which takes some 4 us: of
// all jobs whose output has no room each would look.
#define LOOK_PAUSE 400e-6

struct spool_host {
    char *path; // owned
    bool made;  // by us, outside the runtime directory
    int fd;     // of the directory
    uint64_t next_file;
    int64_t cap, taken, captured;
    char *scratch; // borrowed
    struct lingering lingering;
    double (*now)(void);
    double look_due;   // as of a share
    bool is_resuming;  // until it is settled
    uint64_t *claimed; // owned: files of resumed logs, until they are settled
    size_t claimed_count, claimed_capacity;
};

static bool on_tmpfs(const char *path) {
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int spool_host_make(struct spool_host *host, const struct spool_host_parts *parts, bool is_there) {
    free(host->path);
    host->fd = fd_close(host->fd);
    if (asprintf(&host->path, "%s/%s", host->made ? "/dev/shm" : parts->path, host->made ? parts->name : "output") <
        0) {
        host->path = NULL;
        return -ENOMEM;
    }
    if (!is_there && mkdir(host->path, 0700) < 0 && errno != EEXIST)
        return -errno;
    host->fd = open(host->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (host->fd < 0)
        return -errno;
    // /dev/shm is everybody's: a directory that somebody else put there is not ours to write to.
    struct stat st;
    if (fstat(host->fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() || (st.st_mode & 077))
        return -EPERM;
    return 0;
}

// Whoever puts something where ours is to be in /dev/shm, which anybody may, makes output slower, nothing more. A daemon that
// is gone on with has it where it was.
static int spool_host_directory(struct spool_host *host, const struct spool_host_parts *parts) {
    static const struct {
        bool made, is_there;
    } places[] = {{true, true}, {false, true}, {true, false}, {false, false}};
    bool in_memory = !on_tmpfs(parts->path) && on_tmpfs("/dev/shm");
    int r = -ENOENT;
    for (size_t i = parts->resumed ? 0 : 2; r < 0 && r != -ENOMEM && i < ARRAY_SIZE(places); i++) {
        host->made = places[i].made;
        if (in_memory || !host->made)
            r = spool_host_make(host, parts, places[i].is_there);
    }
    return r;
}

// Logs of a daemon that is gone belong to jobs that nobody knows any more.
static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_claimed(const struct spool_host *host, const char *name) {
    uint64_t file = strtoull(name, NULL, 10);
    return host->claimed && bsearch(&file, host->claimed, host->claimed_count, sizeof(file), compare);
}

void spool_host_claim(struct spool_host *host, uint64_t file) {
    if (host->claimed_count == host->claimed_capacity) {
        size_t capacity = MAX(host->claimed_capacity * 2, (size_t)64);
        uint64_t *claimed = realloc(host->claimed, capacity * sizeof(*claimed));
        if (!claimed)
            return;
        host->claimed = claimed;
        host->claimed_capacity = capacity;
    }
    host->claimed[host->claimed_count++] = file;
}

// `owners`: of what an earlier worker of this daemon left; NULL: an earlier daemon did.
static void spool_host_sweep(struct spool_host *host, bool remove, struct owners *owners) {
    int fd = dup(host->fd);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fd_close(fd);
        return;
    }
    rewinddir(dir); // a duplicate goes on where the last one ended
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            if (remove && owners && !is_claimed(host, e->d_name))
                host->taken += lingering_adopt(&host->lingering, e->d_name, owners);
            else if (remove && !is_claimed(host, e->d_name))
                unlinkat(host->fd, e->d_name, 0);
            else
                host->next_file = MAX(host->next_file, strtoull(e->d_name, NULL, 10));
        }
    closedir(dir);
}

int spool_host_new(const struct spool_host_parts *parts, struct spool_host **ret_host) {
    struct spool_host *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->fd = -1;
    host->cap = parts->cap;
    host->scratch = parts->scratch;
    host->now = parts->now ? parts->now : now_mono;
    int r = spool_host_directory(host, parts);
    if (r < 0) {
        host->fd = fd_close(host->fd); // not ours to remove
        spool_host_free(host);
        return r;
    }
    host->lingering.directory = host->fd;
    spool_host_sweep(host, !parts->resumed, NULL);
    host->is_resuming = parts->resumed;
    *ret_host = host;
    return 0;
}

void spool_host_settle(struct spool_host *host, struct owners *owners) {
    if (!host->is_resuming)
        return;
    host->is_resuming = false;
    if (host->claimed)
        qsort(host->claimed, host->claimed_count, sizeof(*host->claimed), compare);
    spool_host_sweep(host, true, owners);
    free(TAKE_PTR(host->claimed));
    host->claimed_count = host->claimed_capacity = 0;
}

void spool_host_free(struct spool_host *host) {
    if (!host)
        return;
    lingering_done(&host->lingering, true);
    if (host->fd >= 0)
        rmdir(host->path);
    fd_close(host->fd);
    free(host->claimed);
    free(host->path);
    free(host);
}

const char *spool_host_path(const struct spool_host *host) {
    return host->path;
}

int64_t spool_host_stored(const struct spool_host *host) {
    return host->taken;
}

int64_t spool_host_captured(const struct spool_host *host) {
    return host->captured;
}

static const char *file_name(uint64_t file, char name[24]) {
    snprintf(name, 24, "%llu", (unsigned long long)file);
    return name;
}

int spool_host_create(struct spool_host *host, uint64_t *ret_file) {
    char name[24];
    uint64_t file = ++host->next_file;
    int fd = openat(host->fd, file_name(file, name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (host->is_resuming)
        spool_host_claim(host, file);
    *ret_file = file;
    return fd;
}

int spool_host_open(struct spool_host *host, uint64_t file, int access) {
    char name[24];
    int fd = openat(host->fd, file_name(file, name), access | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

char *spool_host_file(const struct spool_host *host, uint64_t file) {
    char *path;
    return asprintf(&path, "%s/%llu", host->path, (unsigned long long)file) < 0 ? NULL : path;
}

void spool_host_remove(struct spool_host *host, uint64_t file) {
    char name[24];
    unlinkat(host->fd, file_name(file, name), 0);
}

bool spool_host_look(struct spool_host *host, const struct share *share) {
    int64_t freed = lingering_look(&host->lingering, share);
    host->taken -= freed;
    return freed > 0;
}

bool spool_host_lingers(const struct spool_host *host) {
    return host->lingering.files != NULL;
}

bool spool_host_linger(struct spool_host *host, uint64_t file, struct share *share, int64_t bytes) {
    return lingering_add(&host->lingering, file, share, bytes);
}

int spool_host_may_share(struct spool_host *host, const struct share *share) {
    if (share && share->lingering >= LINGERING_MOST)
        spool_host_look(host, share);
    return share && share->lingering >= LINGERING_MOST ? -EUSERS : 0;
}

static void look_for_room(struct spool_host *host, struct share *share) {
    double *due = share ? &share->look_due : &host->look_due, now = host->now();
    if (now >= *due && !spool_host_look(host, share))
        *due = now + LOOK_PAUSE * (double)MIN(host->lingering.count, LINGERING_TURN);
}

static bool is_over(const struct share *share, int64_t bytes) {
    return share && share->limit && bytes > *share->limit - share->used;
}

int spool_host_reserve(struct spool_host *host, struct share *share, int64_t bytes) {
    if (is_over(share, bytes))
        look_for_room(host, share);
    if (is_over(share, bytes))
        return -EDQUOT;
    if (bytes > host->cap - host->taken)
        look_for_room(host, NULL);
    if (bytes > host->cap - host->taken)
        return -ENOSPC;
    spool_host_account(host, share, bytes);
    return 0;
}

void spool_host_account(struct spool_host *host, struct share *share, int64_t bytes) {
    host->taken += bytes;
    if (share)
        share->used += bytes;
}

void spool_host_count(struct spool_host *host, int64_t bytes) {
    host->captured += bytes;
}

char *spool_host_scratch(struct spool_host *host) {
    return host->scratch;
}
