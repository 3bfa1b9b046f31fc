// Files beside the history's database.
#include "daemon/store/history_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "common/util.h"

enum { ASIDE_MOST = 3 };               // damaged databases that are kept
#define NUMBER_MOST (INT64_C(1) << 52) // more is no number that was ever given
#define ASIDE ".damaged-"
#define LEFT '-' // in the name of an output whose job has gone

int history_directory_make(const char *directory, const char *outputs) {
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    struct stat st;
    if (mkdir(outputs, 0700) == 0)
        return 0;
    return errno != EEXIST || stat(outputs, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static void closedirp(DIR **dir) {
    if (*dir)
        closedir(*dir);
}

// When it was moved aside; 0: it was not, or belongs to one that was.
static long long aside_time(const char *name) {
    const char *found = strstr(name, ASIDE);
    char *end = NULL;
    long long time = found ? strtoll(found + strlen(ASIDE), &end, 10) : 0;
    return found && !*end ? time : 0;
}

// How many there are, and the oldest.
static int aside_count(const char *directory, long long *ret_oldest) {
    _cleanup_(closedirp) DIR *dir = opendir(directory);
    int count = 0;
    *ret_oldest = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        long long time = aside_time(e->d_name);
        count += time > 0;
        if (time > 0 && (*ret_oldest == 0 || time < *ret_oldest))
            *ret_oldest = time;
    }
    return count;
}

static const char *const parts[] = {"", "-wal", "-shm"}; // of a database

static void aside_remove(const char *directory, const char *file, long long time) {
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s/%s" ASIDE "%lld%s", directory, file, time, parts[i]) < 0)
            return;
        unlink(path);
    }
}

void history_directory_set_aside(const char *directory, const char *file) {
    long long now = (long long)now_wall(), oldest;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        _cleanup_free_ char *from = NULL, *to = NULL;
        if (asprintf(&from, "%s/%s%s", directory, file, parts[i]) < 0 ||
            asprintf(&to, "%s/%s" ASIDE "%lld%s", directory, file, now, parts[i]) < 0)
            return;
        rename(from, to);
    }
    if (aside_count(directory, &oldest) > ASIDE_MOST)
        aside_remove(directory, file, oldest);
}

void history_directory_numbers(const char *directory, int64_t *next_job, int64_t *next_event) {
    _cleanup_free_ char *path = NULL;
    char text[64] = "";
    long long job = 0, event = 0;
    if (asprintf(&path, "%s/numbers", directory) < 0)
        return;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0 || sscanf(text, "%lld %lld", &job, &event) != 2)
        return;
    if (job > *next_job && job < NUMBER_MOST)
        *next_job = job;
    if (event > *next_event && event < NUMBER_MOST)
        *next_event = event;
}

// What fails here is in the database all the same.
void history_directory_note(const char *directory, int64_t next_job, int64_t next_event) {
    _cleanup_free_ char *path = NULL, *part = NULL;
    char text[64];
    int size = snprintf(text, sizeof(text), "%lld %lld\n", (long long)next_job, (long long)next_event);
    if (asprintf(&path, "%s/numbers", directory) < 0 || asprintf(&part, "%s/numbers.part", directory) < 0)
        return;
    _cleanup_close_ int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    if (write(fd, text, (size_t)size) != size || rename(part, path) < 0)
        unlink(part);
}

static bool is_known(sqlite3_stmt *find, const char *name) {
    char *end;
    long long id = strtoll(name, &end, 10);
    if (id <= 0 || *end != '.' || (strcmp(end, ".1") != 0 && strcmp(end, ".2") != 0))
        return false; // half of one
    sqlite3_bind_int64(find, 1, id);
    int r = sqlite3_step(find);
    sqlite3_reset(find);
    return r != SQLITE_DONE; // also where it can't be told
}

void history_directory_sweep(const char *directory, const char *outputs, sqlite3 *db) {
    long long oldest;
    sqlite3_stmt *find = NULL;
    _cleanup_(closedirp) DIR *dir = opendir(outputs);
    if (!dir || aside_count(directory, &oldest) > 0 ||
        sqlite3_prepare_v2(db, "SELECT 1 FROM job WHERE id = ?", -1, &find, NULL) != SQLITE_OK)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && !strchr(e->d_name, LEFT) && !is_known(find, e->d_name))
            unlinkat(dirfd(dir), e->d_name, 0);
    sqlite3_finalize(find);
}

static char *output_path(const char *outputs, int64_t id, int stream, const char *ending) {
    char *path;
    return asprintf(&path, "%s/%lld.%d%s", outputs, (long long)id, stream + 1, ending) < 0 ? NULL : path;
}

// A log that is too large for the database, as a file beside it. Returns 0 or a negative errno.
static int output_copy(const char *from, const char *to, size_t size) {
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_close_ int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (in < 0)
        return -errno;
    if (out < 0)
        return errno == ENOENT ? -ENOTDIR : -errno; // the directory is gone: it is made again
    for (size_t done = 0; done < size;) {
        ssize_t n = sendfile(out, in, NULL, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

static bool output_is_there(const char *path, size_t size) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == (off_t)size;
}

int history_directory_take(const char *outputs, struct history_job *job, int stream) {
    struct history_stream *s = &job->streams[stream];
    if (!s->path || s->has_file)
        return 0;
    _cleanup_free_ char *path = output_path(outputs, job->id, stream, ""),
                        *part = output_path(outputs, job->id, stream, ".part");
    if (!path || !part)
        return -ENOMEM;
    // A job that changed while it was written comes again, when its log may have left its own file for this one.
    s->has_file = output_is_there(path, s->size);
    int r = s->has_file ? 0 : output_copy(s->path, part, s->size);
    if (r == 0 && !s->has_file && rename(part, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(part);
    else
        s->has_file = true;
    // Gone meanwhile: then what there was is not to be had by anybody.
    return r == -ENOENT || r == -ENODATA ? 0 : r;
}

int history_left_init(struct history_left *left) {
    static const struct owner_limits none = {0};
    left->owners = owners_new(0, &none);
    return left->owners ? 0 : -ENOMEM;
}

static void claimant_none(struct claimant *claimant) {
}

void history_left_done(struct history_left *left) {
    lingering_done(&left->files, false);
    owners_free(TAKE_PTR(left->owners), claimant_none);
}

static int outputs_open(struct history_left *left, const char *outputs) {
    return left->files.directory = open(outputs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void history_left_adopt(struct history_left *left, const char *outputs) {
    _cleanup_(closedirp) DIR *dir = opendir(outputs);
    left->files.directory = dir ? dirfd(dir) : -1;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strchr(e->d_name, LEFT))
            lingering_adopt(&left->files, e->d_name, left->owners);
}

void history_left_look(struct history_left *left, const char *outputs) {
    _cleanup_close_ int fd = left->files.files ? outputs_open(left, outputs) : -1;
    if (fd >= 0)
        lingering_look(&left->files, NULL);
}

static void left_add(struct history_left *left, const char *outputs, const char *name) {
    _cleanup_close_ int fd = outputs_open(left, outputs);
    if (fd >= 0) // else it is the next worker's to find
        lingering_adopt(&left->files, name, left->owners);
}

void history_directory_drop(const char *outputs, int64_t id, uid_t owner, struct history_left *left) {
    for (int stream = 0; stream < 2; stream++) {
        _cleanup_free_ char *path = output_path(outputs, id, stream, ""), *to = NULL;
        if (!path || asprintf(&to, "%s/%lld%c%d.%u", outputs, (long long)id, LEFT, stream + 1, (unsigned)owner) < 0)
            return;
        if (rename(path, to) == 0) // nobody opens it any more
            left_add(left, outputs, strrchr(to, '/') + 1);
    }
}
