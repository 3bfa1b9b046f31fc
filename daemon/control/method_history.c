// What was: listing jobs of memory and history as one, and forgetting them.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/methods.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"

enum { LABELS_MAX = 64 };

static unsigned states_mask(const json_t *states) {
    unsigned mask = 0;
    for (size_t i = 0; i < json_array_size(states); i++)
        for (unsigned s = 0; s < JOB_STATE_COUNT; s++)
            if (streq(json_string_value(json_array_get(states, i)), proto_states[s]))
                mask |= 1u << s;
    return mask;
}

// Two lists, each newest first: memory's, which goes before, and the history's.
struct listing {
    struct call *call;
    struct control *control;
    struct registry_filter filter;
    struct spec_pair pairs[LABELS_MAX];
    char *labels[2 * LABELS_MAX + 1];
    struct job *job;                // memory's next
    struct history_filter archived; // what is asked of the history
    int64_t ids[1001];              // the history's, a page
    size_t id_count, id_next, page; // page 0: it is not asked, or has no more
    int64_t end;                    // 0, or the oldest job that it had time to look at: here the list ends
    int error;                      // it did not answer
    json_t *jobs;
};

static void listing_filter(struct listing *l, const json_t *params) {
    const json_t *states = json_object_get(params, "states"), *before = json_object_get(params, "before");
    json_t *labels = json_object_get(params, "labels"), *value;
    const char *key;
    l->filter = (struct registry_filter){
        .by_state = states != NULL,
        .states = states_mask(states),
        .name = json_string_value(json_object_get(params, "name")),
        .labels = l->pairs,
        .before = before ? proto_int(before) : 0,
    };
    size_t n = 0;
    json_object_foreach(labels, key, value) {
        l->pairs[n] = (struct spec_pair){.name = (char *)(uintptr_t)key,
                                         .value = (char *)(uintptr_t)json_string_value(value)};
        l->labels[2 * n] = l->pairs[n].name;
        l->labels[2 * n + 1] = l->pairs[n].value;
        n++;
    }
    l->filter.label_count = n;
}

// The history's next ones. Some may be passed over, so that a page of the answer may take several of it.
static void listing_page(struct listing *l) {
    l->id_next = 0;
    l->id_count = history_list(l->control->history, &l->archived, l->ids, l->page, &l->end);
    l->error = target_answered(l->call);
    if (l->id_count < l->page)
        l->page = 0;
    else
        l->archived.before = l->ids[l->id_count - 1];
}

static void listing_history(struct listing *l, size_t page) {
    const struct session *session = l->call->session;
    bool wanted = !l->filter.by_state || (l->filter.states & (1u << JOB_FINAL));
    if (!l->control->history || !wanted)
        return;
    l->page = page;
    l->archived = (struct history_filter){
        .by_owner = !session_administers(session),
        .owner = session->uid,
        .name = l->filter.name,
        .labels = l->filter.label_count ? l->labels : NULL,
        .before = l->filter.before,
    };
    listing_page(l);
}

// Memory's next that the caller sees.
static void listing_walk(struct listing *l) {
    do {
        l->job = registry_next(l->control->registry, &l->filter);
        if (l->job)
            l->filter.before = l->job->id;
    } while (l->job && !session_sees(l->call->session, l->job));
}

// The next one of both; NULL: there is none, or none can be had (`error`).
static struct job *listing_next(struct listing *l) {
    struct job *found = NULL;
    while (!found && l->error == 0) {
        if (l->id_next == l->id_count && l->page > 0) {
            listing_page(l);
            continue;
        }
        int64_t id = l->id_next < l->id_count ? l->ids[l->id_next] : 0;
        if (id == 0 && (!l->job || l->job->id <= l->end))
            return NULL;
        if (l->job && l->job->id >= id) {
            found = l->job;
            l->id_next += l->job->id == id;
            listing_walk(l);
        } else {
            l->id_next++;
            if (registry_find(l->control->registry, id)) // memory knows better, and does not list it
                continue;
            found = archive_find(l->control, id, HISTORY_ANYBODY);
            l->error = found ? 0 : target_answered(l->call);
        }
    }
    return found;
}

int method_job_list(struct call *call, json_t *params, json_t **ret_result) {
    struct listing *l = calloc(1, sizeof(*l));
    const json_t *value = json_object_get(params, "limit");
    size_t limit = value ? (size_t)proto_int(value) : 100;
    const char *group = json_string_value(json_object_get(params, "group"));
    if (!l)
        return -ENOMEM;
    l->call = call;
    l->control = call->session->control;
    json_t *jobs = json_array(), *next = NULL;
    double now = now_mono();
    size_t weight = 0;
    if (!group || streq(group, "default")) { // there are no other groups
        listing_filter(l, params);
        listing_history(l, limit + 1);
        listing_walk(l);
    }
    for (struct job *job; (job = listing_next(l)); archive_release(l->control)) {
        size_t count = json_array_size(jobs);
        weight += record_weight(job, RECORDS_MOST + 1);
        if (count == limit || (count > 0 && weight > RECORDS_MOST)) {
            next = json_incref(json_object_get(json_array_get(jobs, count - 1), "id"));
            break;
        }
        record_add(&jobs, record_job(l->control, job, -1, now));
    }
    int r = l->error;
    if (r == 0 && !next && l->end > 0 && !(next = json_integer(l->end)))
        r = -ENOMEM;
    free(l);
    if (r < 0) {
        json_decref(jobs);
        json_decref(next);
        return r;
    }
    *ret_result = json_pack("{s:o,s:o}", "jobs", jobs, "next", next ? next : json_null());
    return *ret_result ? 0 : -ENOMEM;
}

// Those of the history that memory does not know any more.
static int forget_history(struct call *call, int64_t *ret_count) {
    struct control *control = call->session->control;
    enum { PIECE = 1000 };
    int64_t ids[PIECE], end;
    struct history_filter filter = {.by_owner = true, .owner = call->session->uid};
    if (!control->history)
        return 0;
    for (size_t count = PIECE; count == PIECE;) {
        count = history_list(control->history, &filter, ids, PIECE, &end);
        int r = target_answered(call);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            filter.before = ids[i];
            if (registry_find(control->registry, ids[i]))
                continue;
            archive_forget(control, ids[i], call->session->uid);
            (*ret_count)++;
        }
    }
    return 0;
}

static int forget_final(struct call *call, int64_t *ret_count) {
    struct control *control = call->session->control;
    struct job *job = registry_newest(control->registry);
    while (job) {
        struct job *older = job->older;
        if (job_is_final(job) && job->owner == call->session->uid) { // one's own, also an administrator's
            runner_forget(control->runner, job);
            (*ret_count)++;
        }
        job = older;
    }
    return forget_history(call, ret_count);
}

// Returns whether it was there: it may be named twice, and is held by whoever has it by its address.
static bool forget_one(struct control *control, struct job *job) {
    if (registry_find(control->registry, job->id) == job) {
        runner_forget(control->runner, job);
        return true;
    }
    if (!job->forgotten || !archive_find(control, job->id, HISTORY_ANYBODY))
        return false;
    archive_forget(control, job->id, job->owner);
    return true;
}

int method_job_forget(struct call *call, json_t *params, json_t **ret_result) {
    _cleanup_free_ struct job **jobs = NULL;
    size_t count = 0;
    int64_t forgotten = 0;
    int r = 0;
    if (json_is_true(json_object_get(params, "final")))
        r = forget_final(call, &forgotten);
    else
        r = target_many(call, params, &jobs, &count);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (!job_is_final(jobs[i])) {
            snprintf(call->refusal.what, sizeof(call->refusal.what), "job %lld is not final", (long long)jobs[i]->id);
            call->refusal.id = jobs[i]->id;
            r = -EBUSY;
        }
    for (size_t i = 0; r == 0 && i < count; i++)
        runner_hold(jobs[i]);
    for (size_t i = 0; r == 0 && i < count; i++)
        forgotten += forget_one(call->session->control, jobs[i]);
    for (size_t i = 0; r == 0 && i < count; i++)
        runner_release(call->session->control->runner, jobs[i]);
    if (r == 0)
        *ret_result = json_pack("{s:I}", "forgotten", (json_int_t)forgotten);
    return r;
}
