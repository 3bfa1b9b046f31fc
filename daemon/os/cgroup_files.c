// Open files of cgroups, in a fixed number of places.
#include "daemon/os/cgroup_files.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/util.h"

enum state { FREE, LAUNCHING, LIVE, POOLED };

struct cgroup_files {
    int max, next; // places; where the next one to be taken away is looked for
    struct place {
        enum state state;
        struct cgroup *owner; // borrowed, unless pooled
        int dir, events, cpu; // owned, or -1
    } places[];
};

struct cgroup_files *cgroup_files_new(int max) {
    struct cgroup_files *files = calloc(1, sizeof(*files) + (size_t)max * sizeof(files->places[0]));
    if (files)
        files->max = max;
    return files;
}

static void place_close(struct place *place) {
    if (place->state == FREE)
        return;
    fd_close(place->dir);
    fd_close(place->events);
    fd_close(place->cpu);
    *place = (struct place){.state = FREE};
}

void cgroup_files_free(struct cgroup_files *files) {
    for (int i = 0; files && i < files->max; i++)
        place_close(&files->places[i]);
    free(files);
}

// One that is free, or whose job is running: they go round.
static int place_find(struct cgroup_files *files) {
    for (int i = 0; i < files->max; i++)
        if (files->places[i].state == FREE)
            return i;
    for (int i = 0; i < files->max; i++) {
        int at = (files->next + i) % files->max;
        if (files->places[at].state != LIVE)
            continue;
        files->next = at + 1;
        files->places[at].owner->place = -1;
        place_close(&files->places[at]);
        return at;
    }
    return -1;
}

void cgroup_files_take(struct cgroup_files *files, struct cgroup *cgroup) {
    int at = cgroup->place;
    if (at < 0 && (at = place_find(files)) >= 0)
        files->places[at] = (struct place){.dir = -1, .events = -1, .cpu = -1};
    cgroup->place = at;
    if (at < 0)
        return;
    files->places[at].state = LAUNCHING;
    files->places[at].owner = cgroup;
}

void cgroup_files_launched(struct cgroup_files *files, const struct cgroup *cgroup) {
    if (cgroup->place >= 0)
        files->places[cgroup->place].state = LIVE;
}

void cgroup_files_pool(struct cgroup_files *files, const struct cgroup *cgroup) {
    if (cgroup->place < 0)
        return;
    files->places[cgroup->place].state = POOLED;
    files->places[cgroup->place].owner = NULL;
}

void cgroup_files_give(struct cgroup_files *files, struct cgroup *cgroup) {
    if (cgroup->place >= 0)
        place_close(&files->places[cgroup->place]);
    cgroup->place = -1;
}

bool cgroup_files_open(struct cgroup_files *files, const struct cgroup *cgroup, int dir) {
    if (cgroup->place < 0)
        return false;
    struct place *place = &files->places[cgroup->place];
    place->dir = dir;
    place->events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
    place->cpu = openat(dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
    return true;
}

int cgroup_files_directory(const struct cgroup_files *files, const struct cgroup *cgroup) {
    return cgroup->place < 0 ? -1 : files->places[cgroup->place].dir;
}

int cgroup_files_events(const struct cgroup_files *files, const struct cgroup *cgroup) {
    return cgroup->place < 0 ? -1 : files->places[cgroup->place].events;
}

int cgroup_files_cpu(const struct cgroup_files *files, const struct cgroup *cgroup) {
    return cgroup->place < 0 ? -1 : files->places[cgroup->place].cpu;
}
