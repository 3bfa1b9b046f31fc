// launching: from a spec to a plan, from a plan to a running leader.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "common/closing.h"
#include "common/util.h"
#include "daemon/runner/archiving.h"
#include "daemon/runner/keeping.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The whole of stdin as a sealed file in memory: nothing has to feed it, and the job sees it end.
static int stdin_open(const struct spec *spec) {
    _cleanup_close_ int fd = memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < spec->stdin_size;) {
        ssize_t n = write(fd, spec->stdin_data + done, spec->stdin_size - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static char **strings_copy(char *const *strings, size_t count) {
    char **copy = calloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(strings[i]);
        if (!copy[i]) {
            while (i > 0)
                free(copy[--i]);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

struct environment {
    char **list; // NULL at the end
    size_t count;
    bool failed;
};

// `known`: of what is there, that many may have the same name.
static void environment_set(struct environment *env, const char *name, const char *value, size_t known) {
    size_t length = strlen(name), at = 0;
    known = MIN(known, env->count);
    while (at < known && (strncmp(env->list[at], name, length) != 0 || env->list[at][length] != '='))
        at++;
    char *line = NULL;
    if (value && asprintf(&line, "%s=%s", name, value) < 0) {
        env->failed = true;
        return;
    }
    if (at < known)
        free(env->list[at]);
    if (line) {
        env->list[at < known ? at : env->count++] = line;
    } else if (at < known) {
        env->list[at] = env->list[--env->count];
        env->list[env->count] = NULL;
    }
}

static char **environment_build(const struct spec *spec, const struct identity *who, int64_t id) {
    char number[24];
    snprintf(number, sizeof(number), "%lld", (long long)id);
    const struct spec_pair plain[] = {
        {(char *)(uintptr_t) "PATH", (char *)(uintptr_t)default_path},
        {(char *)(uintptr_t) "HOME", who->home},
        {(char *)(uintptr_t) "USER", who->user},
        {(char *)(uintptr_t) "LOGNAME", who->user},
        {(char *)(uintptr_t) "SHELL", who->shell},
        {(char *)(uintptr_t) "LANG", (char *)(uintptr_t) "C.UTF-8"},
        {(char *)(uintptr_t) "SUPD_JOB_ID", number},
    };
    struct environment env = {.list = calloc(ARRAY_SIZE(plain) + spec->env_count + 1, sizeof(char *))};
    if (!env.list)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        environment_set(&env, plain[i].name, plain[i].value, 0);
    for (size_t i = 0; i < spec->env_count; i++) // which are members of an object: each is there once
        environment_set(&env, spec->env[i].name, spec->env[i].value, ARRAY_SIZE(plain));
    if (!env.failed)
        return env.list;
    for (size_t i = 0; i < env.count; i++)
        free(env.list[i]);
    free(env.list);
    return NULL;
}

// What was said for the terminal comes after what was said in general.
static int spec_set_term(struct spec *spec) {
    struct spec_pair *named = NULL;
    for (size_t i = 0; i < spec->env_count && !named; i++)
        named = streq(spec->env[i].name, "TERM") ? &spec->env[i] : NULL;
    if (named && spec->term) {
        free(named->value);
        named->value = strdup(spec->term);
        return named->value ? 0 : -ENOMEM;
    }
    if (named)
        return 0;
    struct spec_pair *env = realloc(spec->env, (spec->env_count + 1) * sizeof(*env));
    if (!env)
        return -ENOMEM;
    spec->env = env;
    struct spec_pair *added = &env[spec->env_count++]; // the spec's, whole or not
    *added = (struct spec_pair){strdup("TERM"), strdup(spec->term ? spec->term : "xterm")};
    return added->name && added->value ? 0 : -ENOMEM;
}

static void plan_stream_fill(struct plan_stream *to, struct spec_stream *from) {
    static const enum plan_out kinds[] = {[SINK_CAPTURE] = PLAN_CAPTURE,
                                          [SINK_NULL] = PLAN_NULL,
                                          [SINK_FILE] = PLAN_FILE,
                                          [SINK_STDOUT] = PLAN_STDOUT,
                                          [SINK_FD] = PLAN_FD};
    to->kind = kinds[from->sink];
    to->append = from->append;
    to->path = TAKE_PTR(from->path);
}

static void plan_limits(struct plan *plan, const struct spec *spec) {
    static const int resources[LIMIT_COUNT] = {
        [LIMIT_ADDRESS_SPACE] = RLIMIT_AS, [LIMIT_OPEN_FILES] = RLIMIT_NOFILE, [LIMIT_FILE_SIZE] = RLIMIT_FSIZE,
        [LIMIT_CORE] = RLIMIT_CORE,        [LIMIT_CPU_SECONDS] = RLIMIT_CPU,
    };
    for (int i = LIMIT_TREE; spec->limits && i < LIMIT_COUNT; i++)
        if (spec->limits[i] >= 0)
            plan_limit(plan, i, resources[i], spec->limits[i]);
}

// What came along, in the order of the fields that asked for it.
static void plan_take(struct plan *plan, bool takes_stdin, struct start *start) {
    int n = 0;
    plan->from = start->owner->uid;
    if (takes_stdin)
        plan->stdin_fd = TAKE_FD(start->fds[n++]);
    if (plan->out.kind == PLAN_FD)
        plan->out.fd = TAKE_FD(start->fds[n++]);
    if (plan->err.kind == PLAN_FD)
        plan->err.fd = TAKE_FD(start->fds[n++]);
}

static int plan_fill(struct plan *plan, struct run *run, struct start *start) {
    struct spec *spec = &run->job->spec;
    plan_stream_fill(&plan->out, &spec->streams[STREAM_OUT]);
    plan_stream_fill(&plan->err, &spec->streams[STREAM_ERR]);
    plan_take(plan, spec->stdin_from == STDIN_FD, start); // first: on failure too they are the plan's
    const struct identity *who = start->identity;
    int r = !who ? -ESRCH : spec->pty ? spec_set_term(spec) : 0;
    if (r < 0)
        return r;
    plan->argv = strings_copy(spec->argv, spec->argc);
    plan->envp = environment_build(spec, who, run->job->id);
    plan->cwd = strdup(spec->cwd);
    if (!plan->argv || !plan->envp || !plan->cwd)
        return -ENOMEM;
    if (run->runner->parts.sets_identity && (r = plan_set_identity(plan, who)) < 0)
        return r;
    plan->umask = spec->umask;
    plan->set_nice = spec->has_nice;
    plan->nice = spec->nice;
    plan_limits(plan, spec);
    plan->rows = spec->rows;
    plan->cols = spec->cols;
    plan->stdin_is_ours = spec->stdin_from != STDIN_FD;
    if (spec->pty)
        plan->out.kind = PLAN_PTY;
    else if (spec->stdin_from == STDIN_STREAM)
        r = run_input_open(run, &plan->stdin_fd);
    else if (spec->stdin_from == STDIN_DATA)
        r = plan->stdin_fd = stdin_open(spec);
    plan_resolve(plan);
    return MIN(r, 0);
}

static void launch_over(struct launch *launch, void *data) {
    struct run *run = data;
    struct job *job = run->job;
    struct runner *runner = run->runner;
    double now = now_mono();
    run->launch = NULL;
    spec_forget_secrets(&job->spec);
    run_keep_launched(run);
    unsigned actions;
    if (launch->plan.stage == STAGE_NONE && launch->pid > 0) {
        double latency = now_wall() - job->created_at;
        runner->stats.launches++;
        runner->stats.launch_sum += latency;
        runner->stats.launch_max = MAX(runner->stats.launch_max, latency);
        job->pid = launch->pid;
        job->attempt = 1;
        job->started_at = launch->started_wall;
        job->started_mono = launch->started_mono;
        lifecycle_begun(&job->life, launch->started_mono);
        actions = lifecycle_started(&job->life, now);
        run_input_join(run, launch);
        run_watch(run, TAKE_FD(launch->out_fd), TAKE_FD(launch->err_fd));
    } else {
        runner->stats.launches_failed++;
        job->outcome.stage = launch->plan.stage == STAGE_NONE ? STAGE_RESOURCES : launch->plan.stage;
        job->outcome.error = launch->plan.error ? launch->plan.error : ENOMEM;
        actions = lifecycle_failed(&job->life, now);
    }
    bool started = job->life.state != LIFE_FINAL;
    run_act(run, actions);
    if (started)
        run_archive_later(run);
    if (started)
        runner->listener->started(job, runner->data);
    launch_done(launch);
    free(launch);
    int64_t passed = spec_descriptors(&job->spec);
    run->descriptors -= passed;
    descriptors_give(runner->parts.descriptors, passed);
    if (started)
        run_input_begin(run);
}

enum tree_rest tree_rest_of(const struct spec *spec) {
    return spec->descendants == DESCENDANTS_WAIT   ? TREE_REST_WAIT
           : spec->descendants == DESCENDANTS_KEEP ? TREE_REST_KEEP
                                                   : TREE_REST_KILL;
}

int run_launch(struct run *run, struct start *start) {
    struct runner *runner = run->runner;
    const struct spec *spec = &run->job->spec;
    struct launch *launch = calloc(1, sizeof(*launch));
    if (!launch) {
        for (int i = 0; i < spec_descriptors(spec); i++)
            closing_close(TAKE_FD(start->fds[i]), start->owner->uid);
        return -ENOMEM;
    }
    launch_init(launch);
    launch->done = launch_over;
    launch->data = run;
    run->launch = launch;
    int r = plan_fill(&launch->plan, run, start);
    if (r == 0)
        r = tree_new(runner->parts.trees, tree_rest_of(spec), spec_limits_tree(spec) ? spec->limits : NULL,
                     &run_tree_listener, run, &run->tree);
    if (run->tree)
        run->descriptors--; // the tree's own
    if (r < 0) {
        launch->plan.stage = STAGE_RESOURCES;
        launch->plan.error = -r;
        launch_over(launch, run);
        return 0;
    }
    launch->tree = run->tree;
    launch->record = &run->kept->launch;
    tree_note(run->tree, &launch->record->end, launch->record->since);
    launch->claimant = start->claimant;
    run_keep(run); // first: its tree
    launcher_submit(runner->parts.launcher, launch);
    return 0;
}
