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
    strings_free(plan->paths);
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

void plan_limit(struct plan *plan, int resource, int64_t value) {
    rlim_t soft = (rlim_t)value;
    plan->limits[plan->limit_count++] = (struct plan_limit){
        resource, soft, resource == RLIMIT_CPU && value < INT64_MAX ? soft + 1 : soft};
}

static const char *plan_path(const struct plan *plan) {
    for (char **e = plan->envp; e && *e; e++)
        if (strncmp(*e, "PATH=", 5) == 0)
            return *e + 5;
    return plan_default_path;
}

// argv[0] is empty or has a slash: it is the one candidate itself.
static int plan_resolve_plain(struct plan *plan) {
    plan->paths = calloc(2, sizeof(char *));
    if (!plan->paths)
        return -ENOMEM;
    plan->paths[0] = strdup(plan->argv[0]);
    return plan->paths[0] ? 0 : -ENOMEM;
}

int plan_resolve(struct plan *plan) {
    const char *program = plan->argv[0];
    if (!*program || strchr(program, '/'))
        return plan_resolve_plain(plan);
    const char *path = plan_path(plan);
    size_t count = 2;
    for (const char *p = path; *p; p++)
        count += *p == ':';
    plan->paths = calloc(count, sizeof(char *));
    if (!plan->paths)
        return -ENOMEM;
    for (size_t i = 0;; i++) {
        size_t length = strcspn(path, ":");
        int n = length ? asprintf(&plan->paths[i], "%.*s/%s", (int)length, path, program)
                       : asprintf(&plan->paths[i], "%s", program);
        if (n < 0) {
            plan->paths[i] = NULL;
            return -ENOMEM;
        }
        if (!path[length])
            return 0;
        path += length + 1;
    }
}
