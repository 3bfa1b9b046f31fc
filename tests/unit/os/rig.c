// Jobs by launcher and tree, without a runner.
#include "tests/unit/os/rig.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "common/util.h"

static pthread_t loop_thread;

// The same for all tests of a program, which run one after another: a test clears what the last one left.
static const char *host_name(void) {
    static char name[64];
    static pid_t program;
    if (!program)
        program = getpid();
    snprintf(name, sizeof(name), "supd-unit-%d", (int)program);
    return name;
}

bool rig_has_cgroups(void) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct tree_host *host = NULL;
    struct descriptors descriptors = {0};
    int reaper_fd = open(TEST_REAPER, O_PATH | O_CLOEXEC);
    tree_host_new(
        &(struct tree_host_parts){
            .loop = loop, .way = TREE_AUTO, .name = host_name(), .reaper_fd = reaper_fd, .descriptors = &descriptors},
        &host);
    bool cgroups = host && tree_host_way(host) == TREE_CGROUP;
    if (!cgroups)
        printf("SKIPPED: what needs a cgroup: %s\n", host ? tree_host_why(host) : "there is no supd-reaper either");
    tree_host_free(host);
    ev_loop_destroy(loop);
    fd_close(reaper_fd);
    return cgroups;
}

void rig_clean(void) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    struct tree_host *host = NULL;
    struct descriptors descriptors = {0};
    tree_host_new(
        &(struct tree_host_parts){
            .loop = loop, .way = TREE_CGROUP, .name = host_name(), .reaper_fd = -1, .descriptors = &descriptors},
        &host);
    tree_host_free(host);
    ev_loop_destroy(loop);
}

void rig_open(struct rig *rig, enum spawn_way spawn, enum tree_way tree) {
    *rig = (struct rig){.loop = ev_loop_new(EVFLAG_NOENV)};
    ck_assert_ptr_nonnull(rig->loop);
    ev_ref(rig->loop); // it waits though nothing but threads may be under way
    loop_thread = pthread_self();
    prctl(PR_SET_NAME, "supd-unit"); // by which strays knows a launch that is still on its way
    ck_assert_int_eq(launcher_new(rig->loop, spawn, 2, false, NULL, &rig->launcher), 0);
    rig->reaper_fd = open(TEST_REAPER, O_PATH | O_CLOEXEC);
    ck_assert_msg(rig->reaper_fd >= 0, "%s is not built", TEST_REAPER);
    ck_assert_int_eq(tree_host_new(&(struct tree_host_parts){.loop = rig->loop,
                                                             .way = tree,
                                                             .name = host_name(),
                                                             .reaper_fd = rig->reaper_fd,
                                                             .descriptors = &rig->descriptors},
                                   &rig->host),
                     0);
    ck_assert_int_eq(tree_host_way(rig->host), tree);
}

void rig_close(struct rig *rig) {
    launcher_free(rig->launcher);
    tree_host_free(rig->host);
    close(rig->reaper_fd);
    ev_unref(rig->loop);
    ev_loop_destroy(rig->loop);
}

static void on_over(struct launch *launch, void *data) {
    struct rig_job *job = data;
    ck_assert_ptr_eq(launch, &job->launch);
    ck_assert(!job->over);
    job->over = true;
    job->in_loop = pthread_equal(pthread_self(), loop_thread);
}

static void on_exit_told(struct tree *tree, const struct leader_exit *end, void *data) {
    struct rig_job *job = data;
    ck_assert_ptr_eq(tree, job->tree);
    job->end = *end;
    job->exits++;
    job->in_order = job->over && !job->settled;
}

static void on_empty(struct tree *tree, void *data) {
    struct rig_job *job = data;
    job->empties++;
    job->settled = true;
    job->in_order &= job->exits == 1;
}

static void on_unproven(struct tree *tree, void *data) {
    struct rig_job *job = data;
    job->unprovens++;
    job->settled = true;
    job->in_order &= job->exits == 1;
}

static void on_used(struct tree *tree, double seconds, double cost, void *data) {
    struct rig_job *job = data;
    job->answers++;
    job->used = seconds;
}

static const struct tree_listener listener = {on_exit_told, on_empty, on_unproven, on_used};

void rig_prepare(struct rig *rig, struct rig_job *job, enum tree_rest rest, const char *first, const char *second) {
    *job = (struct rig_job){.rig = rig};
    launch_init(&job->launch);
    struct plan *plan = &job->launch.plan;
    plan->argv = calloc(4, sizeof(char *));
    plan->argv[0] = strdup(TEST_CHILD);
    plan->argv[1] = first ? strdup(first) : NULL;
    plan->argv[2] = first && second ? strdup(second) : NULL;
    plan->envp = calloc(1, sizeof(char *));
    plan->cwd = strdup("/");
    plan->out.kind = plan->err.kind = PLAN_CAPTURE;
    plan_resolve(plan);
    ck_assert_int_eq(tree_new(rig->host, rest, NULL, &listener, job, &job->tree), 0);
    job->launch.tree = job->tree;
    job->launch.done = on_over;
    job->launch.data = job;
}

void rig_start(struct rig *rig, struct rig_job *job, enum tree_rest rest, const char *first, const char *second) {
    rig_prepare(rig, job, rest, first, second);
    launcher_submit(rig->launcher, &job->launch);
}

void rig_until(struct rig *rig, const bool *flag) {
    while (!*flag)
        ev_run(rig->loop, EVRUN_ONCE);
}

void rig_until_count(struct rig *rig, const int *count) {
    while (!*count)
        ev_run(rig->loop, EVRUN_ONCE);
}

void rig_expect_running(struct rig_job *job) {
    rig_until(job->rig, &job->over);
    ck_assert_msg(job->launch.plan.stage == STAGE_NONE, "stage %d: %s", job->launch.plan.stage,
                  strerror(job->launch.plan.error));
    ck_assert_int_gt(job->launch.pid, 0);
}

void rig_done(struct rig_job *job) {
    launch_done(&job->launch);
    tree_free(TAKE_PTR(job->tree));
}
