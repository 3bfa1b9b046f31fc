// Sessions and calls into records.
#include "daemon/control/keeping.h"

#include "common/parse.h"
#include "common/util.h"
#include "daemon/control/decode.h"

_Static_assert(sizeof(struct kept_session) <= KEPT_SESSION_SIZE, "a session's record has outgrown its place");
_Static_assert(sizeof(struct kept_call) <= KEPT_CALL_SIZE, "a call's record has outgrown its place");

struct kept_call *keep_call(struct session *session, enum kept_call_kind kind, json_t *request, json_t *more) {
    struct kept *kept = session->control->kept;
    struct kept_call *record = session->kept ? kept_take(kept, KEPT_CALL, kept_serial(kept)) : NULL;
    json_t *all = more ? more : json_object();
    if (request)
        json_object_set(all, "id", request);
    char *text = record ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text || kept_blob_put(kept, &record->more, text, strlen(text)) < 0) {
        kept_drop(kept, KEPT_CALL, record);
        keep_session_unkept(session, 1);
        record = NULL;
    } else {
        record->kind = (int)kind;
        record->session = session->kept->id; // from here on it counts
    }
    free(text);
    return record;
}

void keep_call_end(struct session *session, struct kept_call *record, bool was_kept) {
    struct kept *kept = session->control->kept;
    if (record) {
        kept_blob_drop(kept, &record->more);
        kept_drop(kept, KEPT_CALL, record);
    } else if (!was_kept) {
        keep_session_unkept(session, -1);
    }
}

void keep_session_begin(struct session *session) {
    struct kept *kept = session->control->kept;
    struct kept_session *record = kept_take(kept, KEPT_SESSION, kept_serial(kept));
    session->kept = record;
    if (!record)
        return;
    record->uid = session->uid;
    record->pid = session->pid;
    record->fd = stream_fd(session->stream);
    stream_mark(session->stream, &record->busy);
}

void keep_session_end(struct session *session) {
    if (!session->kept)
        return;
    stream_mark(session->stream, NULL);
    kept_drop(session->control->kept, KEPT_SESSION, session->kept);
    session->kept = NULL;
}

void keep_session_leave(struct session *session) {
    struct kept *kept = session->control->kept;
    struct kept_session *record = session->kept;
    const struct buffer *in, *out;
    if (!record || session->closing || stream_unload(session->stream, &in, &out) < 0)
        return;
    record->last_subscription = session->last_subscription;
    if (kept_blob_put(kept, &record->in, buffer_head(in), buffer_size(in)) == 0 &&
        kept_blob_put(kept, &record->out, buffer_head(out), buffer_size(out)) == 0)
        record->busy = 0;
}

void keep_session_unkept(struct session *session, int count) {
    stream_busy(session->stream, count);
}

static int dump(json_t *value, char **ret_text) {
    *ret_text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    return *ret_text ? 0 : -ENOMEM;
}

int keep_spec(const json_t *params, const struct spec *spec, const char *owner, char **ret_text, char **ret_secrets) {
    static const char *const others[] = {"env", "inline_bytes", "follow", "fd", "stdin"};
    json_t *rest = json_copy((json_t *)(uintptr_t)params), *secrets = json_object();
    json_t *env = json_object_get(params, "env"), *in = json_object_get(params, "stdin");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        json_object_del(rest, others[i]);
    if (json_is_string(in))
        json_object_set(rest, "stdin", in);
    if (spec->canonical)
        json_object_set_new(rest, "digest", json_string(spec->canonical));
    if (!json_object_get(rest, "cwd"))
        json_object_set_new(rest, "cwd", json_string(spec->cwd));
    if (owner)
        json_object_set_new(rest, "owner", json_string(owner));
    if (in && !json_is_string(in))
        json_object_set(secrets, "stdin", in);
    if (env)
        json_object_set(secrets, "env", env);
    int r = dump(rest, ret_text);
    int r2 = dump(secrets, ret_secrets);
    return r < 0 ? r : r2;
}

// The kept spec with other labels; NULL when memory is out.
static char *spec_labeled(const char *text, size_t size, json_t *labels) {
    json_t *spec = parse_json(text, size, 0, NULL, NULL);
    char *changed = json_object_set(spec, "labels", labels) == 0 ? json_dumps(spec, JSON_COMPACT) : NULL;
    json_decref(spec);
    return changed;
}

int keep_labels(struct control *control, struct job *job, const json_t *params, const char **ret_limit) {
    size_t size = 0, count;
    struct spec_pair *labels;
    const char *archived = runner_archived_spec(job);
    const char *text = archived ? archived : runner_kept_spec(control->runner, job, &size);
    size = archived ? strlen(archived) : size;
    int r = decode_labels(params, &labels, &count);
    if (r < 0)
        return r;
    _cleanup_free_ char *changed = text ? spec_labeled(text, size, json_object_get(params, "labels")) : NULL;
    if (text)
        r = changed ? runner_keep_spec(control->runner, job, changed, strlen(changed), ret_limit) : -ENOMEM;
    if (r == 0) {
        spec_pairs_free(&job->spec.labels, &job->spec.label_count);
        job->spec.labels = labels;
        job->spec.label_count = count;
    } else {
        spec_pairs_free(&labels, &count);
    }
    if (r == 0)
        runner_labeled(job, changed);
    return r;
}
