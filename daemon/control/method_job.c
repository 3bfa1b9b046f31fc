// The methods that start, end and look at jobs.
#include <stdio.h>

#include "common/closing.h"
#include "common/util.h"
#include "daemon/control/admission.h"
#include "daemon/control/archive.h"
#include "daemon/control/decode.h"
#include "daemon/control/follower.h"
#include "daemon/control/keeping.h"
#include "daemon/control/methods.h"
#include "daemon/control/record.h"
#include "daemon/control/session.h"
#include "daemon/control/target.h"
#include "daemon/control/wait.h"

enum { WAIT_INLINE = 16 << 20 };

static int64_t int_or(const json_t *params, const char *key, int64_t fallback) {
    const json_t *value = json_object_get(params, key);
    return value ? proto_int(value) : fallback;
}

static double seconds_or(const json_t *params, const char *key, double fallback) {
    const json_t *value = json_object_get(params, key);
    return value ? json_number_value(value) : fallback;
}

// Starts the job of a checked spec, or finds the one that its key already has.
static int spec_start(struct call *call, struct spec *spec, struct start *start, struct job **ret_job, bool *ret_new) {
    struct session *session = call->session;
    struct control *control = session->control;
    struct refusal *refusal = &call->refusal;
    struct job *job = spec->key ? registry_find_key(control->registry, session->uid, spec->key) : NULL;
    if (!job && spec->key)
        job = archive_find_key(control, session->uid, spec->key);
    int answered = !job && spec->key ? target_answered(call) : 0;
    if (answered < 0) // it may have been run
        return answered;
    *ret_new = job == NULL;
    if (job) {
        *ret_job = job;
        if (streq(job->spec.canonical, spec->canonical))
            return 0;
        snprintf(refusal->what, sizeof(refusal->what), "key: job %lld has it, with another spec", (long long)job->id);
        snprintf(refusal->field, sizeof(refusal->field), "key");
        refusal->id = job->id;
        return -EEXIST;
    }
    if (control->stopping)
        return -ESHUTDOWN;
    const char *trouble = archive_trouble(control, session_administers(session));
    if (control->refuses_undurable && trouble) {
        refusal->limit = "store";
        snprintf(refusal->what, sizeof(refusal->what), "jobs whose history can't be written are not taken: %.120s",
                 trouble);
        return -EUSERS;
    }
    int r = runner_start(control->runner, spec, start, ret_job);
    if (r == -EEXIST) {
        job = registry_find_name(control->registry, session->uid, spec->name);
        snprintf(refusal->what, sizeof(refusal->what), "name: live job %lld has it", job ? (long long)job->id : 0LL);
        snprintf(refusal->field, sizeof(refusal->field), "name");
        refusal->id = job ? job->id : 0;
    } else if (start->limit) {
        refusal->limit = start->limit;
        snprintf(refusal->what, sizeof(refusal->what), "limit of %s reached: try again when jobs have ended",
                 refusal->limit);
    }
    return r;
}

// Whoever starts a job with it would wait for its file system's server, which is a program of the client's.
static bool is_foreign(struct call *call, const struct ancillary *along) {
    for (int i = 0; call->session->control->is_shared && i < along->count; i++)
        if (closing_is_foreign(along->fds[i]))
            return true;
    return false;
}

// What the spec needs has come with the request's first byte, or not as much, or more.
static int take_descriptors(struct call *call, const struct spec *spec, struct ancillary *ret_along) {
    struct refusal *refusal = &call->refusal;
    int wanted = spec_descriptors(spec);
    if (wanted == 0)
        return 0;
    struct ancillary along = {0};
    if (!call->batch)
        along = session_take(call->session);
    *ret_along = along;
    bool foreign = is_foreign(call, &along);
    if (along.count == wanted && !foreign)
        return 0;
    if (along.too_many && streq(session_descriptors_limit(call->session, wanted), "owner_descriptors")) {
        refusal->limit = "owner_descriptors";
        return -EUSERS;
    }
    const char *field = spec->stdin_from == STDIN_FD                ? "stdin"
                        : spec->streams[STREAM_OUT].sink == SINK_FD ? "stdout"
                                                                    : "stderr";
    snprintf(refusal->field, sizeof(refusal->field), "%s", field);
    const char *plural = wanted > 1 ? "s" : "";
    if (call->batch)
        snprintf(refusal->why, sizeof(refusal->why), "descriptors do not come with batches");
    else if (foreign)
        snprintf(refusal->why, sizeof(refusal->why),
                 "a file of a file system that the daemon may not look into (FUSE, or not mounted here) came; pass a "
                 "pipe, or let supctl run copy");
    else if (along.too_many)
        snprintf(refusal->why, sizeof(refusal->why), "%d descriptor%s must come; more did, or none can be kept now",
                 wanted, plural);
    else
        snprintf(refusal->why, sizeof(refusal->why), "%d descriptor%s must come with the request's first byte; %d came",
                 wanted, plural, along.count);
    return -EINVAL;
}

// What holds trees here must be able to hold them to it.
static int check_limits(struct call *call, const struct spec *spec) {
    const char *why;
    unsigned can = tree_host_limits(call->session->control->trees, &why);
    for (int i = 0; spec->limits && i < LIMIT_TREE; i++) {
        if (spec->limits[i] < 0 || can & 1u << i)
            continue;
        snprintf(call->refusal.field, sizeof(call->refusal.field), "limits.%s", spec_limit_names[i]);
        snprintf(call->refusal.why, sizeof(call->refusal.why), "can't be enforced here: %s", why);
        return -EOPNOTSUPP;
    }
    return 0;
}

// The answer comes after everything that is followed; what is held back for it is its lease's.
static void run_follow(struct call *call, struct job *job, bool fresh, bool by_descriptor, struct wait *wait) {
    const struct cursor cursor = {.mask = 1u << STREAM_OUT | 1u << STREAM_ERR};
    if (fresh)
        runner_widen(job);
    struct follower *follower = follower_new(call->session, job, &cursor, call->id, fresh, wait);
    if (follower && fresh && by_descriptor)
        follower_by_descriptor(follower);
    wait_for_follower(wait, follower != NULL); // it runs: it is answered, if not followed
}

// Decodes the params, takes what came with them and starts the job, or finds it by its key.
static int job_begin(struct call *call, const json_t *params, bool run, struct job **ret_job, bool *ret_new) {
    struct session *session = call->session;
    struct spec spec;
    struct ancillary along = {0};
    struct identity *who;
    struct start start = {
        .owner = session->owner,
        .claimant = session->claimant,
        .by_descriptor = json_is_true(json_object_get(params, "fd")),
    };
    int r = admission_identity(call, params, &who);
    if (r < 0)
        return r;
    start.identity = who;
    r = decode_spec(params, run, &call->refusal, &spec);
    if (r == 0 && !spec.cwd && !(spec.cwd = strdup(who->cwd)))
        r = -ENOMEM;
    if (r == 0)
        r = check_limits(call, &spec);
    if (r == 0)
        r = take_descriptors(call, &spec, &along);
    _cleanup_free_ char *text = NULL, *secrets = NULL;
    if (r == 0)
        r = keep_spec(params, &spec, session->owner->name, &text, &secrets);
    start.spec_text = text;
    start.spec_size = text ? strlen(text) : 0;
    start.secrets_text = secrets;
    start.secrets_size = secrets ? strlen(secrets) : 0;
    memcpy(start.fds, along.fds, sizeof(start.fds));
    bool lease = spec.lease;
    if (r == 0)
        r = spec_start(call, &spec, &start, ret_job, ret_new);
    session_account(session, -along.count); // the job has its own
    if (r < 0 || !*ret_new)
        ancillary_close(&along);
    spec_done(&spec);
    if (r == 0 && *ret_new)
        session_launches(session);
    if (r == 0 && *ret_new && lease)
        session_lease(session, *ret_job);
    return r;
}

static int fd_check(struct call *call, const json_t *params, bool follow) {
    if (!json_is_true(json_object_get(params, "fd")) || (follow && !call->batch))
        return 0;
    snprintf(call->refusal.field, sizeof(call->refusal.field), "fd");
    snprintf(call->refusal.why, sizeof(call->refusal.why),
             follow ? "descriptors do not come with batches" : "needs follow");
    return -EINVAL;
}

static int job_submit(struct call *call, const json_t *params, bool run) {
    struct job *job = NULL;
    bool fresh = false;
    bool follow = json_is_true(json_object_get(params, "follow"));
    call->refusal.limit = session_may_hold(call->session, follow);
    int r = call->refusal.limit ? -EUSERS : fd_check(call, params, follow);
    if (r == 0)
        r = job_begin(call, params, run, &job, &fresh);
    if (r < 0)
        return r;
    const struct wait_spec spec = {
        .one = true,
        .started = !run,
        .is_followed = follow,
        .limit = -1,
        .inline_bytes = run ? int_or(params, "inline_bytes", 262144) : -1,
    };
    struct wait *wait;
    r = wait_new(call, &job, 1, &spec, &wait);
    if (r == CALL_LATER && follow)
        run_follow(call, job, fresh, json_is_true(json_object_get(params, "fd")), wait);
    return r;
}

int method_job_run(struct call *call, json_t *params, json_t **ret_result) {
    return job_submit(call, params, true);
}

int method_job_start(struct call *call, json_t *params, json_t **ret_result) {
    return job_submit(call, params, false);
}

// One answer is made as a whole: it may not be as large as thousands of outputs are.
static int wait_check(struct call *call, size_t count, int64_t inline_bytes) {
    if (count < 2 || inline_bytes * STREAM_COUNT <= WAIT_INLINE / (int64_t)count)
        return 0;
    snprintf(call->refusal.field, sizeof(call->refusal.field), "inline_bytes");
    snprintf(call->refusal.why, sizeof(call->refusal.why), "of %zu jobs may be %lld at most: 16 MiB in one answer",
             count, (long long)(WAIT_INLINE / STREAM_COUNT / (int64_t)count));
    return -EINVAL;
}

static int wait_matcher(struct call *call, const json_t *params, size_t count, struct matcher **ret_matcher) {
    const json_t *until = json_object_get(params, "until");
    if (!until)
        return 0;
    if (count != 1) {
        snprintf(call->refusal.field, sizeof(call->refusal.field), "until");
        snprintf(call->refusal.why, sizeof(call->refusal.why), "is for one job only");
        return -EINVAL;
    }
    const struct owner *owner = call->session->owner;
    if (!owner_may(owner, owner->until_waits, 1, WAIT_UNTIL_MAX)) {
        call->refusal.limit = "owner_until_waits";
        return -EUSERS;
    }
    const char *stream = json_string_value(json_object_get(until, "stream"));
    unsigned mask = !stream || streq(stream, "both") ? 3 : streq(stream, "stdout") ? 1 : 2;
    const json_t *text = json_object_get(until, "text");
    *ret_matcher = matcher_new(mask, json_string_value(text), json_string_length(text));
    return *ret_matcher ? 0 : -ENOMEM;
}

int method_job_wait(struct call *call, json_t *params, json_t **ret_result) {
    _cleanup_free_ struct job **jobs = NULL;
    struct wait *wait;
    size_t count;
    const char *mode = json_string_value(json_object_get(params, "mode"));
    struct wait_spec spec = {
        .any = mode && streq(mode, "any"),
        .limit = seconds_or(params, "limit", -1),
        .inline_bytes = int_or(params, "inline_bytes", 0),
    };
    size_t ids = json_array_size(json_object_get(params, "ids"));
    call->refusal.limit = session_may_hold(call->session, MAX(ids, (size_t)1) - 1);
    int r = call->refusal.limit ? -EUSERS : target_many(call, params, &jobs, &count);
    if (r == 0)
        r = wait_check(call, count, spec.inline_bytes);
    if (r == 0)
        r = wait_matcher(call, params, count, &spec.matcher);
    if (r == 0)
        r = wait_new(call, jobs, count, &spec, &wait);
    if (r < 0)
        matcher_free(spec.matcher);
    return r;
}

int method_job_status(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    int r = target_one(call, params, &job);
    if (r == 0)
        *ret_result = record_answer(call->session->control, job, int_or(params, "inline_bytes", 0), now_mono());
    return r;
}

int method_job_kill(struct call *call, json_t *params, json_t **ret_result) {
    struct control *control = call->session->control;
    _cleanup_free_ struct job **jobs = NULL;
    size_t count;
    int r = target_many(call, params, &jobs, &count);
    if (r < 0)
        return r;
    const char *signal = json_string_value(json_object_get(params, "signal"));
    const struct cause cause = {REASON_KILLED, KILLER_CLIENT, call->session->uid};
    for (size_t i = 0; i < count; i++)
        if (!job_is_final(jobs[i]))
            runner_stop(control->runner, jobs[i], cause, signal ? proto_signal_number(signal) : -1,
                        seconds_or(params, "grace", -1));
    json_t *records = json_array();
    double now = now_mono();
    for (size_t i = 0; i < count; i++)
        record_add(&records, record_job(control, jobs[i], -1, now));
    *ret_result = json_pack("{s:o}", "jobs", records);
    return *ret_result ? 0 : -ENOMEM;
}

int method_job_signal(struct call *call, json_t *params, json_t **ret_result) {
    struct job *job;
    int r = target_one(call, params, &job);
    if (r < 0)
        return r;
    const char *to = json_string_value(json_object_get(params, "to"));
    int signal = proto_signal_number(json_string_value(json_object_get(params, "signal")));
    r = runner_signal(call->session->control->runner, job, signal, to && streq(to, "leader"));
    if (r == -ESRCH)
        snprintf(call->refusal.what, sizeof(call->refusal.what), "job %lld has no process to signal",
                 (long long)job->id);
    *ret_result = r == 0 ? json_object() : NULL;
    return r;
}
