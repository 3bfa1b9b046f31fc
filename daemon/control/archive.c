// Rows into jobs.
#include "daemon/control/archive.h"

#include "common/parse.h"
#include "common/util.h"
#include "daemon/control/decode.h"
#include "daemon/control/event.h"

static struct job *archive_known(const struct control *control, int64_t id) {
    struct job *job;
    HASH_FIND(by_id, control->archived, &id, sizeof(id), job);
    return job;
}

// For the present request, whoever else looks at it.
static struct job *archive_take(struct control *control, struct job *job) {
    if (job->at_hand)
        return job;
    job->at_hand = true;
    runner_hold(job);
    job->final_next = control->loaded; // it stands in no registry
    control->loaded = job;
    return job;
}

void archive_gone(struct control *control, struct job *job) {
    if (archive_known(control, job->id) == job)
        HASH_DELETE(by_id, control->archived, job);
}

// Not to be found any more.
static void archive_drop(struct control *control, int64_t id) {
    struct job *job = archive_known(control, id);
    if (job)
        archive_gone(control, job);
}

static struct job *archive_load(struct control *control, struct history_job *h) {
    struct job *known = h ? archive_known(control, h->id) : NULL;
    if (known) {
        history_job_free(h);
        return archive_take(control, known);
    }
    struct spec spec;
    struct refusal refusal = {0};
    bool is_out = false;
    json_t *params = h ? parse_json(h->spec, strlen(h->spec), 0, NULL, &is_out) : NULL;
    int r = params ? decode_spec(params, false, &refusal, &spec) : -EINVAL;
    struct job *job = NULL;
    if (r == 0) {
        if (!spec.cwd)
            spec.cwd = strdup("/");
        job = spec.cwd ? runner_load(control->runner, h, &spec) : NULL;
    }
    if (is_out || r == -ENOMEM || (r == 0 && !job)) // it is there all the same
        history_out_of_memory(control->history);
    if (job && job->account && !job->account->name)
        owner_set_name(job->account, json_string_value(json_object_get(params, "owner")));
    if (params)
        spec_done(&spec);
    json_decref(params);
    history_job_free(h);
    if (!job)
        return NULL;
    HASH_ADD(by_id, control->archived, id, sizeof(job->id), job); // without memory it is one of several
    archive_take(control, job);
    runner_release(control->runner, job);
    return job;
}

struct job *archive_find(struct control *control, int64_t id, int64_t owner) {
    struct job *known = archive_known(control, id);
    bool is_theirs = known && (owner == HISTORY_ANYBODY || known->owner == owner);
    if (is_theirs && known->ended_at + known->spec.retain > now_wall())
        return archive_take(control, known);
    return control->history ? archive_load(control, history_find(control->history, id, owner)) : NULL;
}

struct job *archive_find_name(struct control *control, uid_t owner, const char *name) {
    return control->history ? archive_load(control, history_find_name(control->history, owner, name)) : NULL;
}

struct job *archive_find_key(struct control *control, uid_t owner, const char *key) {
    return control->history ? archive_load(control, history_find_key(control->history, owner, key)) : NULL;
}

void archive_release(struct control *control) {
    while (control->loaded) {
        struct job *job = control->loaded;
        control->loaded = job->final_next;
        job->final_next = NULL;
        job->at_hand = false;
        runner_release(control->runner, job);
    }
}

const char *archive_trouble(const struct control *control, bool administers) {
    const char *trouble = control->history ? history_trouble(control->history) : control->store_trouble;
    return !trouble || administers ? trouble : "administrators are told why";
}

void archive_forget(struct control *control, int64_t id, uid_t owner) {
    history_forget(control->history, id);
    archive_drop(control, id);
    event_tell_gone(control, id, owner);
}

static void on_committed(int64_t id, bool is_final, void *data) {
    struct control *control = data;
    runner_committed(control->runner, id, is_final);
}

static void on_dropped(int64_t id, uid_t owner, void *data) {
    struct control *control = data;
    struct job *job = registry_find(control->registry, id);
    archive_drop(control, id);
    if (!job)
        event_tell_gone(control, id, owner);
    else if (job_is_final(job))
        runner_forget(control->runner, job);
}

static void on_troubled(const char *why, void *data) {
    struct control *control = data;
    if (why)
        log_error(control->log, "the history can't be written: %s: jobs run on, and are written once it can", why);
    else
        log_info(control->log, "the history is written again");
}

static void on_begun(const char *why, void *data) {
    struct control *control = data;
    log_error(control->log, "%s: the history begins anew, with the jobs that are in memory", why);
    HASH_CLEAR(by_id, control->archived);
    runner_archive_all(control->runner);
}

const struct history_listener archive_listener = {
    .committed = on_committed, .dropped = on_dropped, .troubled = on_troubled, .begun = on_begun};
