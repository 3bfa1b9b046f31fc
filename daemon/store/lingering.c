// Removing what nobody has open.
#include "daemon/store/lingering.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include <utlist.h>

#include "common/util.h"

enum { NAME_SIZE = 40 };

struct lingering_file {
    struct share *share; // borrowed, or NULL: whose it is is not known
    int64_t bytes;
    struct lingering_file *prev, *next;
    char name[NAME_SIZE];
};

// Removes it unless others have it open.
static bool file_end(int directory, const char *name) {
    _cleanup_close_ int fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    fcntl(fd, F_SETSIG, SIGURG); // to whoever opens it meanwhile it is our lease: told by SIGIO we would end
    bool is_leased = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
    if (!is_leased && errno == EAGAIN)
        return false;
    // Who has but its name (O_PATH) can't read it and would keep its memory.
    if (is_leased && ftruncate(fd, 0) < 0)
        return false;
    unlinkat(directory, name, 0);
    return true;
}

// The next worker knows by the name whose it is.
static bool file_keep(struct lingering *lingering, const char *name, struct share *share, int64_t bytes) {
    struct lingering_file *file = calloc(1, sizeof(*file));
    if (!file)
        return false;
    file->share = share;
    file->bytes = bytes;
    snprintf(file->name, sizeof(file->name), "%s", name);
    if (share && !strchr(name, '.')) {
        snprintf(file->name, sizeof(file->name), "%s.%u", name, (unsigned)share->uid);
        if (renameat(lingering->directory, name, lingering->directory, file->name) < 0)
            snprintf(file->name, sizeof(file->name), "%s", name);
    }
    DL_APPEND(lingering->files, file);
    lingering->count++;
    if (share)
        share->lingering++;
    return true;
}

bool lingering_add(struct lingering *lingering, uint64_t number, struct share *share, int64_t bytes) {
    char name[24];
    snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
    if (bytes <= 0 || file_end(lingering->directory, name)) {
        unlinkat(lingering->directory, name, 0);
        return false;
    }
    file_keep(lingering, name, share, bytes); // without memory for it, it is the next worker's to find
    return true;
}

int64_t lingering_adopt(struct lingering *lingering, const char *name, struct owners *owners) {
    struct stat st;
    if (file_end(lingering->directory, name) || fstatat(lingering->directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    const char *uid = strchr(name, '.');
    struct owner *owner = uid ? owner_get(owners, (uid_t)strtoul(uid + 1, NULL, 10)) : NULL;
    int64_t bytes = (int64_t)st.st_blocks * 512;
    if (bytes == 0 || strlen(name) >= NAME_SIZE || !file_keep(lingering, name, owner ? &owner->output : NULL, bytes)) {
        unlinkat(lingering->directory, name, 0);
        bytes = 0;
    }
    if (owner)
        owner->output.used += bytes;
    owner_release(owners, owner);
    return bytes;
}

static int64_t file_forget(struct lingering *lingering, struct lingering_file *file) {
    int64_t bytes = file->bytes;
    if (file->share) {
        file->share->used -= bytes;
        file->share->lingering--;
    }
    DL_DELETE(lingering->files, file);
    lingering->count--;
    free(file);
    return bytes;
}

int64_t lingering_look(struct lingering *lingering, const struct share *share) {
    const struct lingering_file *last = lingering->files ? lingering->files->prev : NULL;
    struct lingering_file *next = lingering->files;
    int64_t freed = 0;
    for (int n = 0; next && n < LINGERING_TURN;) {
        struct lingering_file *file = next;
        next = file == last ? NULL : file->next;
        if (share && file->share != share)
            continue;
        n++;
        if (file_end(lingering->directory, file->name)) {
            freed += file_forget(lingering, file);
        } else { // the next time those behind it come first
            DL_DELETE(lingering->files, file);
            DL_APPEND(lingering->files, file);
        }
    }
    return freed;
}

void lingering_done(struct lingering *lingering, bool remove) {
    while (lingering->files) {
        if (remove)
            unlinkat(lingering->directory, lingering->files->name, 0);
        file_forget(lingering, lingering->files);
    }
}
