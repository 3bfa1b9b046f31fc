// Files beside the history's database.
#include "daemon/store/history_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/util.h"

enum { ASIDE_MOST = 3 };               // damaged databases that are kept
#define NUMBER_MOST (INT64_C(1) << 52) // more is no number that was ever given
#define ASIDE ".damaged-"

int history_directory_make(const char *directory, const char *outputs) {
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    return mkdir(outputs, 0700) < 0 && errno != EEXIST ? -errno : 0;
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
        if (e->d_name[0] != '.' && !is_known(find, e->d_name))
            unlinkat(dirfd(dir), e->d_name, 0);
    sqlite3_finalize(find);
}
