// The surroundings of a launch, without threads.
#include "tests/unit/os/stand.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/os/slots.h"

enum { NOBODY = 65534 };
#define STACK ((size_t)65536)

void stand_open(struct stand *s) {
    int slots[SLOTS_LAUNCHERS][SLOT_COUNT];
    *s = (struct stand){0};
    ck_assert_int_eq(slots_reserve(1, slots), 0);
    memcpy(s->setup.slots, slots[0], sizeof(s->setup.slots));
    ck_assert_int_eq(child_setup_limits(&s->setup, false), 0);
    s->report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s->stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    ck_assert(s->report != MAP_FAILED && s->stacks != MAP_FAILED);
    s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    s->output = memfd_create("output", MFD_CLOEXEC);
    ck_assert(s->null >= 0 && s->output >= 0);
    ck_assert_int_eq(slot_lay(s->setup.slots[SLOT_OUT], s->output, s->null), 0);
    ck_assert_int_eq(slot_lay(s->setup.slots[SLOT_ERR], s->output, s->null), 0);
    strcpy(s->dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    ck_assert_int_eq(chmod(s->dir, 0777), 0);
}

void stand_close(struct stand *s) {
    char path[128];
    snprintf(path, sizeof(path), "%s/file", s->dir);
    unlink(path);
    rmdir(s->dir);
    for (int i = 0; i < SLOT_COUNT; i++)
        close(s->setup.slots[i]);
    close(s->null);
    close(s->output);
    munmap(s->report, 4096);
    munmap(s->stacks, 2 * STACK);
}

static char **list(const char *first, const char *second) {
    char **strings = calloc(3, sizeof(*strings));
    ck_assert_ptr_nonnull(strings);
    strings[0] = first ? strdup(first) : NULL;
    strings[1] = second ? strdup(second) : NULL;
    return strings;
}

static void list_free(char **strings) {
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
}

void stand_argv(struct plan *plan, const char *first, const char *second) {
    list_free(plan->argv);
    plan->argv = list(first, second);
    plan_resolve(plan);
}

void stand_env(struct plan *plan, const char *variable) {
    list_free(plan->envp);
    plan->envp = list(variable, NULL);
}

void stand_plan(const struct stand *stand, struct plan *plan, const char *argument) {
    plan_init(plan);
    stand_env(plan, "PATH=/nowhere");
    stand_argv(plan, TEST_CHILD, argument);
    plan->cwd = strdup(stand->dir);
    plan->out.kind = plan->err.kind = PLAN_CAPTURE;
}

struct spawn stand_spawn(struct stand *s, enum spawn_way way, const struct plan *plan) {
    return (struct spawn){
        .way = way,
        .plan = plan,
        .setup = &s->setup,
        .report = s->report,
        .stacks = {s->stacks + STACK, s->stacks + 2 * STACK},
        .cgroup = -1,
    };
}

const char *stand_output(const struct stand *stand) {
    static char text[65536];
    ssize_t n = pread(stand->output, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

void stand_drop_root(void) {
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
    ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
}
