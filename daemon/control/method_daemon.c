// What the daemon says of itself, and its end.
#include <stdio.h>
#include <sys/prctl.h>
#include <utlist.h>

#include "common/openrpc.h"
#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/keeping.h"
#include "daemon/control/methods.h"
#include "daemon/control/session.h"
#include "daemon/control/wait.h"
#include "daemon/os/kept.h"
#include "daemon/store/history.h"
#include "daemon/store/lingering.h"

// Words of a field that are refused, such as stdin "stream".
static void list_later_words(json_t *list, const char *name, const struct proto_type *type) {
    for (const struct proto_type *const *any = type->kind == PK_ONEOF ? type->any : NULL; any && *any; any++)
        list_later_words(list, name, *any);
    for (const char *const *word = type->later; word && *word; word++)
        json_array_append_new(list, json_sprintf("%s: \"%s\"", name, *word));
}

static void list_unsupported(json_t *list, const struct proto_field *fields) {
    for (; fields && fields->name; fields++)
        if (fields->flags & PF_LATER)
            json_array_append_new(list, json_string(fields->name));
        else
            list_later_words(list, fields->name, fields->type);
}

static const char *store_word(const struct control *control) {
    return control->history ? "sqlite" : "memory";
}

static json_t *capabilities(const struct session *session) {
    const struct control *control = session->control;
    static const char *const ways[] = {
        [TREE_AUTO] = "none", [TREE_CGROUP] = "cgroup", [TREE_REAPER] = "reaper", [TREE_NONE] = "none"};
    json_t *unsupported = json_array();
    list_unsupported(unsupported, proto_spec_fields);
    list_unsupported(unsupported, proto_method_find("job.run")->params);
    if (!control->is_shared)
        json_array_append_new(unsupported, json_string("user"));
    const char *limits_why;
    unsigned can = tree_host_limits(control->trees, &limits_why);
    for (int i = 0; i < LIMIT_TREE; i++)
        if (!(can & 1u << i))
            json_array_append_new(unsupported, json_sprintf("limits.%s", spec_limit_names[i]));
    bool fast = launcher_way(control->launcher) == SPAWN_FAST;
    const char *trouble = archive_trouble(control, session_administers(session));
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s?,s:s,s:s?,s:o}", "tree", ways[tree_host_way(control->trees)], "tree_why",
                     tree_host_why(control->trees), "spawn", fast ? "fast" : "plain", "store", store_word(control),
                     "spool", spool_host_path(control->spools), "store_trouble", trouble, "privileges",
                     prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "no_new" : "any", "limits_why",
                     *limits_why ? limits_why : NULL, "unsupported", unsupported);
}

static json_t *limits(const struct control *control) {
    const struct control_limits *l = &control->limits;
    const struct owner_limits *shares = owners_limits(control->owners);
    json_t *object = json_object();
    const struct {
        const char *name;
        int64_t value;
    } caps[] = {
        {"max_request_bytes", l->request_bytes},
        {"max_depth", PROTO_DEPTH_MAX},
        {"max_values", PROTO_VALUES_MAX},
        {"max_batch", PROTO_BATCH_MAX},
        {"max_clients", l->clients},
        {"max_calls", l->calls},
        {"max_unsent_bytes", (int64_t)control->stream_limits.queue_max},
        {"max_live_jobs", l->live_jobs},
        {"descriptors", descriptors_limit()},
        {"records", KEPT_RECORDS},
        {"input_bytes", RUNNER_INPUT_MAX},
        {"history_jobs", l->history_jobs},
        {"history_bytes", l->history_bytes},
        {"output_bytes", l->output_bytes},
        {"owner_clients", shares->clients},
        {"owner_calls", shares->calls},
        {"owner_until_waits", WAIT_UNTIL_MAX},
        {"owner_live_jobs", shares->live_jobs},
        {"owner_queued_jobs", shares->queued_jobs},
        {"owner_queued_bytes", shares->queued_bytes},
        {"owner_output_bytes", shares->output_bytes},
        {"owner_lingering_outputs", LINGERING_MOST},
        {"owner_descriptors", shares->descriptors},
        {"owner_history_jobs", l->owner_history_jobs},
        {"owner_history_bytes", l->owner_history_bytes},
    };
    for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
        json_object_set_new(object, caps[i].name, json_integer(caps[i].value));
    json_t *defaults = json_object();
    const struct proto_field *const lists[] = {proto_spec_fields, proto_method_find("job.run")->params};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (const struct proto_field *f = lists[i]; f->name; f++)
            if (f->fallback)
                json_object_set_new(defaults, f->name, json_loads(f->fallback, JSON_DECODE_ANY, NULL));
    for (const struct proto_field *f = proto_spec_fields; f->name; f++)
        if (streq(f->name, "output"))
            for (const struct proto_field *o = f->type->fields; o->name; o++)
                if (o->fallback)
                    json_object_set_new(json_object_get(defaults, "output"), o->name,
                                        json_loads(o->fallback, JSON_DECODE_ANY, NULL));
    json_object_set_new(object, "defaults", defaults);
    return object;
}

int method_daemon_info(struct call *call, json_t *params, json_t **ret_result) {
    const struct control *control = call->session->control;
    const struct control_info *info = &control->info;
    *ret_result = json_pack("{s:s,s:s,s:i,s:i,s:i,s:f,s:s,s:o,s:o}", "name", "supd", "version", info->version,
                            "protocol", PROTO_VERSION, "pid", (int)info->pid, "uid", (int)info->uid, "started_at",
                            info->started_at, "socket", info->socket, "capabilities", capabilities(call->session),
                            "limits", limits(control));
    return 0;
}

// Of /proc/self/statm (proc(5)): resident and shared pages.
static void memory_read(int64_t *ret_rss, int64_t *ret_private) {
    long long rss = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %lld %lld", &rss, &shared) != 2)
        rss = shared = 0;
    if (file)
        fclose(file);
    *ret_rss = rss * sysconf(_SC_PAGESIZE);
    *ret_private = (rss - shared) * sysconf(_SC_PAGESIZE);
}

// Of the jobs that the session may see: all of them, or its user's.
static json_t *stats_jobs(const struct session *session) {
    const struct control *control = session->control;
    const struct runner_stats *stats = runner_stats(control->runner);
    bool all = session_administers(session);
    const int64_t *reasons = all ? stats->by_reason : session->owner->by_reason;
    int64_t states[JOB_STATE_COUNT] = {0};
    for (const struct job *job = registry_newest(control->registry); job; job = job->older)
        if (session_sees(session, job))
            states[job_state(job)]++;
    json_t *by_state = json_object(), *by_reason = json_object();
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        json_object_set_new(by_state, proto_states[i], json_integer(states[i]));
    for (int i = 0; i < REASON_COUNT; i++)
        json_object_set_new(by_reason, proto_reasons[i], json_integer(reasons[i]));
    return json_pack("{s:o,s:o,s:I}", "by_state", by_state, "by_reason", by_reason, "accepted",
                     (json_int_t)(all ? stats->accepted : session->owner->accepted));
}

static json_t *stats_launch(const struct session *session) {
    const struct control *control = session->control;
    const struct runner_stats *stats = runner_stats(control->runner);
    if (!session_administers(session)) // what others do would show in it
        return json_pack("{s:n,s:n,s:n,s:n,s:I}", "count", "failed", "mean", "max", "queued",
                         (json_int_t)launcher_queued_for(control->launcher, session->owner->claimant));
    json_t *mean = stats->launches ? json_real(stats->launch_sum / (double)stats->launches) : json_null();
    json_t *max = stats->launches ? json_real(stats->launch_max) : json_null();
    return json_pack("{s:I,s:I,s:o,s:o,s:I}", "count", (json_int_t)stats->launches, "failed",
                     (json_int_t)stats->launches_failed, "mean", mean, "max", max, "queued",
                     (json_int_t)launcher_queued(control->launcher));
}

static json_t *stats_output(const struct session *session) {
    const struct control *control = session->control;
    const struct share *share = &session->owner->output;
    bool all = session_administers(session);
    int64_t limit = all || !share->limit ? control->limits.output_bytes
                                         : MIN(*share->limit, control->limits.output_bytes);
    return json_pack("{s:I,s:I,s:I}", "captured_bytes",
                     (json_int_t)(all ? spool_host_captured(control->spools) : share->ever), "stored_bytes",
                     (json_int_t)(all ? spool_host_stored(control->spools) : share->used), "stored_limit_bytes",
                     (json_int_t)limit);
}

static json_t *stats_clients(const struct session *session) {
    const struct control_stats *stats = &session->control->stats;
    const struct owner *owner = session->owner;
    bool all = session_administers(session);
    return json_pack("{s:I,s:I,s:I,s:I}", "connected", (json_int_t)(all ? stats->connected : owner->clients),
                     "accepted", (json_int_t)(all ? stats->accepted : owner->connections), "refused",
                     (json_int_t)(all ? stats->refused : 0), "requests",
                     (json_int_t)(all ? stats->requests : owner->requests));
}

static json_t *stats_history(const struct session *session) {
    const struct control *control = session->control;
    const struct history *h = control->history;
    if (!session_administers(session))
        return json_pack("{s:n,s:n,s:n,s:n}", "jobs", "bytes", "waiting", "safe");
    return json_pack("{s:I,s:I,s:I,s:b}", "jobs", (json_int_t)(h ? history_count(h) : 0), "bytes",
                     (json_int_t)(h ? history_bytes(h) : 0), "waiting", (json_int_t)(h ? history_waiting(h) : 0),
                     "safe", h && history_is_safe(h) && runner_is_archived(control->runner));
}

// It grows and shrinks with what others do.
static json_t *stats_memory(const struct session *session) {
    int64_t rss, private;
    if (!session_administers(session))
        return json_pack("{s:n,s:n}", "rss_bytes", "private_bytes");
    memory_read(&rss, &private);
    return json_pack("{s:I,s:I}", "rss_bytes", (json_int_t)rss, "private_bytes", (json_int_t) private);
}

int method_daemon_stats(struct call *call, json_t *params, json_t **ret_result) {
    const struct session *session = call->session;
    const struct control *control = session->control;
    *ret_result = json_pack("{s:f,s:o,s:o,s:o,s:I,s:o,s:o,s:o}", "uptime", now_mono() - control->info.started_mono,
                            "jobs", stats_jobs(session), "output", stats_output(session), "history",
                            stats_history(session), "worker_starts", (json_int_t)MAX(control->kept->head->starts, 1u),
                            "launch", stats_launch(session), "clients", stats_clients(session), "memory",
                            stats_memory(session));
    return 0;
}

int method_daemon_stop(struct call *call, json_t *params, json_t **ret_result) {
    struct control *control = call->session->control;
    const char *jobs = json_string_value(json_object_get(params, "jobs"));
    if (jobs && streq(jobs, "keep")) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "jobs");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "nobody here can take the jobs over");
        return -EOPNOTSUPP;
    }
    control->stop(control->data);
    *ret_result = json_object();
    return 0;
}

int method_daemon_reload(struct call *call, json_t *params, json_t **ret_result) {
    struct control *control = call->session->control;
    const char *later[CONTROL_LATER];
    int count = control->reload(control->data, later, call->refusal.what);
    if (count < 0)
        return -EBUSY; // what the file says goes with nothing; the settings stay
    json_t *names = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(names, json_string(later[i]));
    *ret_result = json_pack("{s:o}", "later", names);
    return 0;
}

// The next worker answers: see reexec_resume.
int method_daemon_reexec(struct call *call, json_t *params, json_t **ret_result) {
    struct control *control = call->session->control;
    int r = call->batch ? -EOPNOTSUPP : control->reexec(control->data);
    if (r < 0) {
        snprintf(call->refusal.what, sizeof(call->refusal.what), "%s",
                 call->batch    ? "not within a batch"
                 : r == -EINVAL ? "the program that is installed now would not start: run supd --check with the "
                                  "daemon's options to see why"
                                : "there is no keeper to go on with (--no-keeper)");
        return r == -EINVAL ? -EBUSY : r;
    }
    struct kept_call *record = keep_call(call->session, KEPT_REEXEC, call->id, NULL);
    if (record)
        call_drop(call);
    return record ? CALL_LATER : -ENOMEM;
}

int reexec_resume(struct session *session, struct kept_call *record, json_t *more) {
    struct control *control = session->control;
    struct call *call = call_new(session, json_object_get(more, "id"));
    if (!call)
        return -ENOMEM;
    stream_send(session->stream); // from here on it is half way
    keep_call_end(session, record, true);
    call_answer(call, json_pack("{s:s,s:I}", "version", control->info.version, "jobs",
                                (json_int_t)runner_stats(control->runner)->live));
    return 0;
}

int method_rpc_discover(struct call *call, json_t *params, json_t **ret_result) {
    *ret_result = openrpc_document(call->session->control->info.version);
    return *ret_result ? 0 : -ENOMEM;
}
