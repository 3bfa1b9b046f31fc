// Sessions, jobs and calls from records.
#include "daemon/control/recovery.h"

#include "common/parse.h"
#include "common/util.h"
#include "daemon/control/admission.h"
#include "daemon/control/archive.h"
#include "daemon/control/decode.h"
#include "daemon/control/event.h"
#include "daemon/control/follower.h"
#include "daemon/control/keeping.h"
#include "daemon/control/wait.h"

size_t recovery_descriptors(struct kept *kept, int *fds, size_t max) {
    size_t count = 0;
    for (struct kept_session *s = NULL; (s = kept_next(kept, KEPT_SESSION, s));)
        if (s->fd > 0 && !s->busy && count < max)
            fds[count++] = s->fd;
    for (void *job = NULL; (job = kept_next(kept, KEPT_JOB, job)) && count + RUNNER_FDS <= max;)
        count += runner_descriptors(job, fds + count);
    return count;
}

static int compare(const void *a, const void *b) {
    int64_t x = kept_id(*(void *const *)a), y = kept_id(*(void *const *)b);
    return x < y ? -1 : x > y;
}

// All records of a kind in the order of their ids.
static void **records_sorted(struct kept *kept, enum kept_kind kind, size_t *ret_count) {
    void **list = calloc((size_t)kept->head->used[kind] + 1, sizeof(*list));
    size_t count = 0;
    for (void *record = NULL; list && (record = kept_next(kept, kind, record));)
        list[count++] = record;
    if (list)
        qsort(list, count, sizeof(*list), compare);
    *ret_count = list ? count : 0;
    return list;
}

static void sessions_recover(struct control *control) {
    size_t count, closed = 0;
    _cleanup_free_ void **records = records_sorted(control->kept, KEPT_SESSION, &count);
    for (size_t i = 0; i < count; i++) {
        struct kept_session *record = records[i];
        // A descriptor of one that was busy is closed by now.
        if (!record->busy && record->fd > 0 && session_resume(control, record) == 0)
            continue;
        closed++;
        kept_drop(control->kept, KEPT_SESSION, record);
    }
    if (count > 0)
        log_info(control->log, "recovered %zu connections, closed %zu that were in the middle of something",
                 count - closed, closed);
}

static struct session *session_by_serial(const struct control *control, int64_t serial) {
    struct session *session = control->sessions;
    while (session && (!session->kept || session->kept->id != serial))
        session = session->next;
    return session;
}

static json_t *blob_json(const struct kept *kept, const struct kept_blob *blob) {
    const char *text = kept_blob_get(kept, blob);
    return text ? parse_json(text, blob->size, JSON_DECODE_ANY, NULL, NULL) : NULL;
}

// Whom a job that was not launched yet runs as. Once a job and before anybody is served: the user database may be asked. Where
// that can't tell, the launch fails.
static void identity_recover(const struct control *control, const json_t *params, struct start *start,
                             struct identity **ret_identity) {
    // Others than root have named themselves, by a number it may be, which can be somebody's name by now.
    const char *user = start->owner->uid == 0 ? json_string_value(json_object_get(params, "user")) : NULL;
    if (!start->secrets_text)
        return;
    int r = 0;
    if (control->is_shared)
        r = identity_open(user, start->owner->uid, ret_identity);
    else
        *ret_identity = identity_ref(control->identity);
    if (r == 0 && admission_knows(control, *ret_identity))
        start->identity = *ret_identity;
}

static int job_recover(struct control *control, void *record) {
    struct start start = {.owner = owner_get(control->owners, runner_record_owner(record))};
    // What waited for its launch still has no more than its user's share of the launchers.
    start.claimant = start.owner ? admission_claimant(control, start.owner) : NULL;
    struct identity *who = NULL;
    size_t size;
    struct spec spec;
    struct refusal refusal = {0};
    struct job *job;
    const char *secret = runner_record_secrets(control->runner, record, &start, &size);
    json_t *secrets = secret ? parse_json(secret, size, 0, NULL, NULL) : NULL;
    const char *text = runner_record_spec(control->runner, record, &size);
    json_t *params = text ? parse_json(text, size, 0, NULL, NULL) : NULL;
    if (secrets && params)
        json_object_update(params, secrets);
    start.secrets_text = secrets ? secret : NULL;
    int r = params && start.owner ? decode_spec(params, false, &refusal, &spec) : -EINVAL;
    if (r == 0 && !spec.cwd && !(spec.cwd = strdup("/")))
        r = -ENOMEM;
    if (r == 0) {
        identity_recover(control, params, &start, &who);
        r = runner_adopt(control->runner, record, &spec, &start, &job);
    }
    if (params && start.owner) {
        owner_set_name(start.owner, start.owner->name ? NULL : json_string_value(json_object_get(params, "owner")));
        spec_done(&spec);
    }
    claimant_release(start.claimant);
    identity_unref(who);
    owner_release(control->owners, start.owner);
    json_decref(params);
    json_decref(secrets);
    return r;
}

static void jobs_recover(struct control *control) {
    size_t count, lost = 0, count_unborn = 0;
    _cleanup_free_ void **records = records_sorted(control->kept, KEPT_JOB, &count);
    for (size_t i = 0; i < count; i++) {
        int64_t id = kept_id(records[i]);
        if (!runner_was_accepted(records[i])) { // its connection is closed: it was never promised
            kept_drop(control->kept, KEPT_JOB, records[i]);
            count_unborn++;
            continue;
        }
        if (job_recover(control, records[i]) == 0)
            continue;
        log_error(control->log, "job %lld can't be gone on with: its record is not to be read", (long long)id);
        kept_drop(control->kept, KEPT_JOB, records[i]);
        lost++;
    }
    runner_adopted(control->runner);
    if (count > 0)
        log_info(control->log, "recovered %zu jobs", count - lost - count_unborn);
    for (struct job *job = registry_newest(control->registry); job; job = job->older) {
        struct session *session = session_by_serial(control, runner_kept_lease(job));
        if (session)
            session_lease(session, job);
    }
}

static void call_recover(struct control *control, struct kept_call *record) {
    struct session *session = session_by_serial(control, record->session);
    json_t *more = blob_json(control->kept, &record->more);
    int r = session && more ? 0 : -EINVAL;
    if (r == 0 && record->kind == KEPT_WAIT)
        r = wait_resume(session, record, more);
    else if (r == 0 && record->kind == KEPT_FOLLOW)
        r = follower_resume(session, record, more);
    else if (r == 0 && record->kind == KEPT_SUBSCRIPTION)
        r = subscription_resume(session, record, more);
    else if (r == 0 && record->kind == KEPT_REEXEC)
        r = reexec_resume(session, record, more);
    json_decref(more);
    if (r == 0)
        return;
    kept_blob_drop(control->kept, &record->more);
    kept_drop(control->kept, KEPT_CALL, record);
    if (session) {
        session->closing = true; // never silence
        session_wake(session);
    }
}

static void claim(struct control *control) {
    struct kept *kept = control->kept;
    runner_claim(control->runner);
    for (struct kept_session *s = NULL; (s = kept_next(kept, KEPT_SESSION, s));) {
        kept_blob_claim(kept, &s->in);
        kept_blob_claim(kept, &s->out);
    }
    for (struct kept_call *call = NULL; (call = kept_next(kept, KEPT_CALL, call));)
        kept_blob_claim(kept, &call->more);
}

void recovery_run(struct control *control) {
    size_t count;
    claim(control);
    control->recovering = true;
    sessions_recover(control);
    jobs_recover(control);
    _cleanup_free_ void **records = records_sorted(control->kept, KEPT_CALL, &count);
    for (size_t i = 0; i < count; i++) {
        call_recover(control, records[i]);
        archive_release(control);
    }
    for (struct session *session = control->sessions; session; session = session->next)
        session_wake(session);
    control->recovering = false;
}
