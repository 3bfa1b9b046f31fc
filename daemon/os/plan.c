// What a child needs, computed beforehand.
#include "daemon/os/plan.h"

#include <stdio.h>

#include "common/closing.h"
#include "common/util.h"

// What execvp(3) and the shell search without PATH.
static const char plan_default_path[] = "/bin:/usr/bin";

void plan_init(struct plan *plan) {
    *plan = (struct plan){.stdin_fd = -1, .out = {.fd = -1}, .err = {.fd = -1}, .umask = 022};
}

static void strings_free(char **strings) {
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
}

void plan_done(struct plan *plan) {
    strings_free(plan->argv);
    strings_free(plan->envp);
    free(plan->cwd);
    free(plan->out.path);
    free(plan->err.path);
    if (plan->stdin_is_ours)
        plan->stdin_fd = fd_close(plan->stdin_fd);
    const int passed[] = {plan->stdin_fd, plan->out.fd, plan->err.fd};
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        if (passed[i] >= 0)
            closing_close(passed[i], plan->from);
    free(plan->groups);
    plan_init(plan);
}

int plan_set_identity(struct plan *plan, const struct identity *who) {
    plan->groups = malloc((who->group_count + 1) * sizeof(*plan->groups));
    if (!plan->groups)
        return -ENOMEM;
    memcpy(plan->groups, who->groups, who->group_count * sizeof(*plan->groups));
    plan->group_count = who->group_count;
    plan->set_identity = true;
    plan->uid = who->uid;
    plan->gid = who->gid;
    return 0;
}

void plan_limit(struct plan *plan, enum spec_limit limit, int resource, int64_t value) {
    rlim_t soft = (rlim_t)value;
    plan->limits[plan->limit_count++] = (struct plan_limit){
        STAGE_LIMIT + limit, resource, soft, resource == RLIMIT_CPU && value < INT64_MAX ? soft + 1 : soft};
}

static const char *plan_path(const struct plan *plan) {
    for (char **e = plan->envp; e && *e; e++)
        if (strncmp(*e, "PATH=", 5) == 0)
            return *e + 5;
    return plan_default_path;
}

void plan_resolve(struct plan *plan) {
    const char *program = plan->argv[0];
    plan->search = *program && !strchr(program, '/') ? plan_path(plan) : NULL;
}

__attribute__((no_sanitize("address", "undefined", "thread"))) bool
plan_candidate(const char **search, const char *program, char to[PATH_MAX]) {
    const char *from = *search;
    size_t size = 0;
    for (; *from && *from != ':'; from++)
        if (size < PATH_MAX)
            to[size++] = *from;
    if (size > 0 && size < PATH_MAX)
        to[size++] = '/';
    for (; *program && size < PATH_MAX; program++)
        to[size++] = *program;
    *search = *from ? from + 1 : NULL;
    if (size < PATH_MAX)
        to[size] = 0;
    return size < PATH_MAX;
}
