// Jobs without processes.
#include "tests/unit/control/sample.h"

#include <check.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/runner/run.h"

static char scratch[65536];

void sample_open(struct sample *s) {
    const struct owner_limits shares = {.output_bytes = 1 << 30};
    *s = (struct sample){0};
    ck_assert_int_eq(identity_open(NULL, 1000, &s->identity), 0);
    s->control.owners = owners_new(1000, &shares);
    strcpy(s->dir, "/tmp/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    s->control.identity = s->identity;
    s->control.info.uid = 1000;
    s->control.registry = registry_new(1);
    char name[64];
    snprintf(name, sizeof(name), "supd-unit-%d", (int)getpid());
    ck_assert_int_eq(
        spool_host_new(&(struct spool_host_parts){.path = s->dir, .name = name, .cap = 1 << 30, .scratch = scratch},
                       &s->control.spools),
        0);
}

static void job_free(struct sample *s, struct job *job) {
    struct run *run = job->run;
    registry_remove(s->control.registry, job);
    for (int i = 0; i < STREAM_COUNT; i++) {
        spool_done(run->pipes[i].spool);
        free(run->pipes[i].spool);
    }
    order_done(&run->order);
    free(run);
    owner_release(s->control.owners, job->account);
    spec_done(&job->spec);
    outcome_done(&job->outcome);
    free(job);
}

void sample_close(struct sample *s) {
    struct job *job;
    while ((job = registry_newest(s->control.registry)))
        job_free(s, job);
    registry_free(s->control.registry);
    spool_host_free(s->control.spools);
    owners_free(s->control.owners, claimant_release);
    identity_unref(s->identity);
    rmdir(s->dir);
}

struct job *sample_job(struct sample *s, uid_t owner, const char *name, int64_t head, int64_t tail) {
    struct job *job = calloc(1, sizeof(*job));
    struct run *run = calloc(1, sizeof(*run));
    ck_assert(job && run);
    spec_init(&job->spec);
    job->spec.argv = calloc(2, sizeof(char *));
    job->spec.argv[0] = (char *)(uintptr_t) "true";
    job->spec.argc = 1;
    job->spec.cwd = strdup("/");
    job->spec.name = name ? strdup(name) : NULL;
    *job = (struct job){.owner = owner,
                        .account = owner_get(s->control.owners, owner),
                        .spec = job->spec,
                        .run = run,
                        .pid = 4711,
                        .attempt = 1,
                        .created_at = 99.5,
                        .started_at = 100,
                        .started_mono = 100,
                        .outcome = {.reason = REASON_NONE}};
    if (owner == 1000)
        owner_set_name(job->account, "build");
    lifecycle_init(&job->life, &job->spec, 1);
    lifecycle_started(&job->life, 100);
    run->job = job;
    for (int i = 0; i < STREAM_COUNT; i++) {
        run->pipes[i] = (struct run_pipe){.run = run, .stream = i, .fd = 0, .hold = INT64_MAX};
        run->pipes[i].spool = calloc(1, sizeof(struct spool));
        ck_assert_ptr_nonnull(run->pipes[i].spool);
        spool_init(run->pipes[i].spool, s->control.spools, head, tail, -1);
    }
    ck_assert_int_eq(registry_add(s->control.registry, job), 0);
    return job;
}

void sample_write(struct job *job, int stream, const char *data, size_t size) {
    struct run *run = run_of(job);
    struct spool *spool = run->pipes[stream].spool;
    job->ended_at += 1; // the clock of a job that has not ended
    order_add(&run->order, stream, spool->total, job->ended_at, ORDER_MAX);
    while (size > 0) {
        size_t room;
        char *to = spool_room(spool, size, INT64_MAX, &room);
        room = MIN(room, size);
        ck_assert_uint_gt(room, 0);
        memcpy(to, data, room);
        spool_commit(spool, room);
        data += room;
        size -= room;
    }
}

void sample_close_streams(struct job *job) {
    for (int i = 0; i < STREAM_COUNT; i++)
        run_of(job)->pipes[i].fd = -1;
}

void sample_end(struct sample *s, struct job *job, enum reason reason) {
    sample_close_streams(job);
    lifecycle_exit(&job->life, 103.5);
    job->ended_at = job->ended_mono = 103.5;
    job->outcome.reason = reason;
    job->outcome.cause.reason = REASON_NONE;
    job->outcome.end = (struct leader_exit){
        .known = true, .exit_code = 0, .usage = {.user = 0.25, .peak_bytes = -1, .max_rss_bytes = 4096}};
    registry_finalize(s->control.registry, job);
}
