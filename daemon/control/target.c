// Finding jobs for a caller, who finds only what they may see.
#include "daemon/control/target.h"

#include <stdio.h>

#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"

int target_answered(struct call *call) {
    const struct control *control = call->session->control;
    const char *why = control->history ? history_unread(control->history) : NULL;
    if (!why)
        return 0;
    snprintf(call->refusal.what, sizeof(call->refusal.what), "the history can't be read now%s%s",
             session_administers(call->session) ? ": " : "", session_administers(call->session) ? why : "");
    return -EIO;
}

// Another's job in memory is looked for in the history, too: as one that nobody knows.
static int find_id(struct call *call, const json_t *id, struct job **ret_job) {
    struct control *control = call->session->control;
    struct job *job = registry_find(control->registry, proto_int(id));
    if (!job || !session_sees(call->session, job))
        job = archive_find(control, proto_int(id),
                           session_administers(call->session) ? HISTORY_ANYBODY : (int64_t)call->session->uid);
    if (job && session_sees(call->session, job)) {
        *ret_job = job;
        return 0;
    }
    int r = target_answered(call);
    if (r < 0)
        return r;
    call->refusal.id = proto_int(id);
    snprintf(call->refusal.what, sizeof(call->refusal.what), "no job %lld", (long long)proto_int(id));
    return -ENOENT;
}

static struct job *find_name_of(struct control *control, uid_t owner, const char *name) {
    struct job *job = registry_find_name(control->registry, owner, name);
    return job ? job : archive_find_name(control, owner, name);
}

static int find_name(struct call *call, const char *name, struct job **ret_job) {
    struct control *control = call->session->control;
    struct job *job = find_name_of(control, call->session->uid, name);
    if (!job && session_administers(call->session))
        job = find_name_of(control, control->info.uid, name);
    if (job) {
        *ret_job = job;
        return 0;
    }
    int r = target_answered(call);
    if (r < 0)
        return r;
    snprintf(call->refusal.name, sizeof(call->refusal.name), "%s", name);
    snprintf(call->refusal.what, sizeof(call->refusal.what), "no job named %s", name);
    return -ENOENT;
}

int target_one(struct call *call, const json_t *params, struct job **ret_job) {
    const json_t *id = json_object_get(params, "id");
    return id ? find_id(call, id, ret_job)
              : find_name(call, json_string_value(json_object_get(params, "name")), ret_job);
}

int target_own(struct call *call, const json_t *params, struct job **ret_job) {
    const struct session *session = call->session;
    int r = target_one(call, params, ret_job);
    if (r < 0 || session_owns(session, *ret_job))
        return r;
    snprintf(call->refusal.what, sizeof(call->refusal.what),
             "job %lld is another user's: administrators see, signal, end and forget it, nothing more",
             (long long)(*ret_job)->id);
    return -EPERM;
}

int target_weigh(struct call *call, const struct job *job, size_t count, size_t *weight) {
    if (count > 1)
        *weight += record_weight(job, RECORDS_MOST - *weight + 1);
    if (*weight <= RECORDS_MOST)
        return 0;
    snprintf(call->refusal.field, sizeof(call->refusal.field), "ids");
    snprintf(call->refusal.why, sizeof(call->refusal.why),
             "the records of these %zu jobs are more than %d MiB together: name fewer", count, RECORDS_MOST >> 20);
    return -EINVAL;
}

// A job of the history is in memory until the request is over, or whoever waits for others beside it.
static int loaded_check(struct call *call, const struct job *job) {
    const struct owner *owner = call->session->owner;
    if (!job->forgotten ||
        owner_may(owner, owner->queued_bytes, 0, owners_limits(call->session->control->owners)->queued_bytes))
        return 0;
    call->refusal.limit = "owner_queued_bytes";
    return -EUSERS;
}

int target_many(struct call *call, const json_t *params, struct job ***ret_jobs, size_t *ret_count) {
    const json_t *ids = json_object_get(params, "ids");
    size_t count = ids ? json_array_size(ids) : 1, weight = 0;
    _cleanup_free_ struct job **jobs = calloc(count, sizeof(*jobs)); // NOLINT(bugprone-sizeof-expression): of pointers
    if (!jobs)
        return -ENOMEM;
    int r = ids ? 0 : target_one(call, params, &jobs[0]);
    for (size_t i = 0; ids && r == 0 && i < count; i++) {
        r = find_id(call, json_array_get(ids, i), &jobs[i]);
        if (r == 0)
            r = target_weigh(call, jobs[i], count, &weight);
        if (r == 0)
            r = loaded_check(call, jobs[i]);
    }
    if (r < 0)
        return r;
    *ret_jobs = TAKE_PTR(jobs);
    *ret_count = count;
    return 0;
}
