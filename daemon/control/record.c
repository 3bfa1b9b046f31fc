// The job record, field by field in the order of the protocol's table.
#include "daemon/control/record.h"

#include <math.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/proto.h"
#include "common/util.h"

void record_set(json_t **object, const char *key, json_t *value) {
    if (*object && json_object_set_new_nocheck(*object, key, value) == 0)
        return;
    if (!*object)
        json_decref(value);
    json_decref(*object);
    *object = NULL;
}

void record_add(json_t **array, json_t *value) {
    if (*array && json_array_append_new(*array, value) == 0)
        return;
    if (!*array)
        json_decref(value);
    json_decref(*array);
    *array = NULL;
}

static json_t *bytes_value(const char *text) {
    json_t *value = json_string(text);
    if (value)
        return value;
    value = json_object();
    if (value && bytes_to_json(value, text, strlen(text), false) == 0)
        return value;
    json_decref(value);
    return NULL;
}

static json_t *string_or_null(const char *text) {
    return text ? json_string(text) : json_null();
}

static json_t *instant(double at) {
    return at > 0 ? json_real(round(at * 1e6) / 1e6) : json_null();
}

static json_t *seconds(double value) {
    return isfinite(value) && value >= 0 ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *range(int64_t start, int64_t end) {
    json_t *pair = json_array();
    record_add(&pair, json_integer(start));
    record_add(&pair, json_integer(end));
    return pair;
}

static json_t *error_record(const struct job *job) {
    static const char *const stages[] = {[STAGE_NONE] = "resources",    [STAGE_RESOURCES] = "resources",
                                         [STAGE_IDENTITY] = "identity", [STAGE_LIMITS] = "limits",
                                         [STAGE_CWD] = "cwd",           [STAGE_STDIO] = "stdio",
                                         [STAGE_EXEC] = "exec",         [STAGE_NICE] = "limits"};
    const struct outcome *outcome = &job->outcome;
    const char *stage = stages[MIN(outcome->stage, STAGE_NICE)];
    const char *subject = outcome->stage == STAGE_EXEC   ? job->spec.argv[0]
                          : outcome->stage == STAGE_CWD  ? job->spec.cwd
                          : outcome->stage == STAGE_NICE ? "nice"
                          : outcome->stage > STAGE_NICE  ? spec_limit_names[outcome->stage - STAGE_LIMIT]
                                                         : stage;
    const char *name = strerrorname_np(outcome->error);
    char message[400], number[16];
    snprintf(message, sizeof(message), "%s%.300s: %s", outcome->stage > STAGE_NICE ? "limits." : "", subject,
             strerrordesc_np(outcome->error));
    snprintf(number, sizeof(number), "E%d", outcome->error);
    json_t *error = json_object();
    record_set(&error, "stage", json_string(stage));
    record_set(&error, "errno", json_string(name ? name : number));
    json_t *text = json_string(message);
    record_set(&error, "message",
               text ? text : json_string(strerrordesc_np(outcome->error))); // argv[0] may be no UTF-8
    return error;
}

static json_t *killed_by(const struct cause *cause) {
    static const char *const killers[] = {
        [KILLER_CLIENT] = "client", [KILLER_LEASE] = "lease", [KILLER_DAEMON] = "daemon"};
    if (cause->reason == REASON_NONE || cause->killer == KILLER_NONE)
        return json_null();
    json_t *by = json_object();
    record_set(&by, "by", json_string(killers[cause->killer]));
    record_set(&by, "uid", cause->uid >= 0 ? json_integer(cause->uid) : json_null());
    return by;
}

static json_t *known(int64_t value) {
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *usage_record(const struct job *job) {
    const struct usage *usage = &job->outcome.end.usage;
    if (job->outcome.stage != STAGE_NONE || !job->outcome.end.known || job->outcome.end.no_usage)
        return json_null();
    json_t *record = json_object();
    record_set(&record, "user", seconds(usage->user));
    record_set(&record, "system", seconds(usage->system));
    record_set(&record, "read_bytes", known(usage->read_bytes));
    record_set(&record, "written_bytes", known(usage->written_bytes));
    record_set(&record, "memory_peak_bytes", known(usage->peak_bytes));
    record_set(&record, "max_rss_bytes", json_integer(usage->max_rss_bytes));
    record_set(&record, "minor_faults", json_integer(usage->minor_faults));
    record_set(&record, "major_faults", json_integer(usage->major_faults));
    record_set(&record, "voluntary_switches", json_integer(usage->voluntary_switches));
    record_set(&record, "involuntary_switches", json_integer(usage->involuntary_switches));
    record_set(&record, "source", json_string_nocheck(usage->source == USAGE_CGROUP ? "cgroup" : "wait4"));
    return record;
}

static json_t *survivors_record(const struct outcome *outcome) {
    if (outcome->survivors_unknown)
        return json_null();
    json_t *pids = json_array();
    for (size_t i = 0; i < outcome->survivor_count; i++)
        record_add(&pids, json_integer(outcome->survivors[i]));
    return pids;
}

static json_t *result_record(const struct job *job) {
    const struct outcome *outcome = &job->outcome;
    const struct leader_exit *end = &outcome->end;
    if (!job_is_final(job))
        return json_null();
    bool ended = job->pid > 0 && end->known && outcome->stage == STAGE_NONE;
    const char *signal = ended && end->signal ? proto_signal_name(end->signal) : NULL;
    char number[16];
    if (ended && end->signal && !signal) { // a real-time signal has no name of its own
        snprintf(number, sizeof(number), "SIG%d", end->signal);
        signal = number;
    }
    json_t *record = json_object();
    record_set(&record, "reason", json_string_nocheck(proto_reasons[outcome->reason]));
    record_set(&record, "exit_code", ended && !end->signal ? json_integer(end->exit_code) : json_null());
    record_set(&record, "signal", string_or_null(signal));
    record_set(&record, "core_dumped", json_boolean(end->core_dumped));
    record_set(&record, "timed_out", json_boolean(reason_is_timeout(outcome->reason)));
    record_set(&record, "error", outcome->reason == REASON_SPAWN_FAILED ? error_record(job) : json_null());
    record_set(&record, "killed_by", killed_by(&outcome->cause));
    record_set(&record, "usage", usage_record(job));
    record_set(&record, "survivors", survivors_record(outcome));
    record_set(&record, "incomplete", json_boolean(outcome->incomplete));
    return record;
}

// Output in the record: all that is kept where that fits, else the first and the last half of the budget, cut
// between characters. `cut` names what lies between, whether it is kept or not.
static void stream_inline(json_t **record, struct spool *spool, int64_t inline_bytes) {
    int64_t gaps[2][2];
    int count = spool_gaps(spool, gaps);
    int64_t total = spool->total, head = total, tail = total;
    if (count > 0 || total > inline_bytes) {
        head = MIN(inline_bytes / 2, count > 0 ? gaps[0][0] : total);
        tail = MAX(total - (inline_bytes - inline_bytes / 2), count > 0 ? gaps[count - 1][1] : 0);
        tail = MAX(tail, head);
    }
    size_t size = (size_t)(head + total - tail);
    _cleanup_free_ char *data = malloc(size + 1);
    if (!data) {
        record_set(record, "data", NULL);
        return;
    }
    size_t first = spool_read(spool, 0, data, (size_t)head);
    bool refused = spool->is_refused;
    if (tail > (int64_t)first) {
        size_t whole = bytes_cut(data, first);
        first = whole;
    }
    size_t last = spool_read(spool, tail, data + first, (size_t)(total - tail));
    if (tail > (int64_t)first) {
        size_t skip = bytes_skip_continuation(data + first, last);
        if (skip < last) {
            memmove(data + first, data + first + skip, last - skip);
            last -= skip;
        }
    }
    if (*record && (refused || spool->is_refused || bytes_to_json(*record, data, first + last, false) < 0))
        record_set(record, "data", NULL);
    if ((int64_t)(first + last) < total)
        record_set(record, "cut", range((int64_t)first, total - (int64_t)last));
}

static json_t *stream_record(const struct job *job, int stream, int64_t inline_bytes) {
    struct spool *spool = runner_spool(job, stream);
    bool was_unreadable = spool->is_unreadable;
    json_t *record = json_object();
    record_set(&record, "bytes", json_integer(spool->total));
    int64_t gaps[2][2];
    int count = spool_gaps(spool, gaps);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        record_add(&list, range(gaps[i][0], gaps[i][1]));
    record_set(&record, "gaps", list);
    record_set(&record, "eof", json_boolean(runner_stream_eof(job, stream)));
    if (inline_bytes > 0)
        stream_inline(&record, spool, inline_bytes);
    if (was_unreadable == spool->is_unreadable)
        return record;
    json_decref(record); // what it says is kept was not to be had
    return stream_record(job, stream, inline_bytes);
}

static json_t *argv_record(const struct spec *spec) {
    json_t *argv = json_array();
    for (size_t i = 0; i < spec->argc; i++)
        record_add(&argv, bytes_value(spec->argv[i]));
    return argv;
}

static json_t *labels_record(const struct spec *spec) {
    json_t *labels = json_object();
    for (size_t i = 0; i < spec->label_count; i++)
        record_set(&labels, spec->labels[i].name, json_string(spec->labels[i].value));
    return labels;
}

static json_t *owner_record(const struct control *control, const struct job *job) {
    json_t *owner = json_object();
    record_set(&owner, "uid", json_integer(job->owner));
    record_set(&owner, "user", string_or_null(job->account ? job->account->name : NULL));
    return owner;
}

static json_t *deadlines_record(const struct job *job, double now) {
    const struct lifecycle *life = &job->life;
    json_t *record = json_object();
    record_set(&record, "timeout", seconds(lifecycle_left_timeout(life, now)));
    record_set(&record, "idle_timeout", seconds(lifecycle_left_idle(life, now)));
    record_set(&record, "cpu_timeout", seconds(lifecycle_left_cpu(life)));
    record_set(&record, "queue_timeout", json_null());
    return record;
}

// A control character is six as JSON.
static size_t text_weight(const char *text) {
    enum { OWN = 48 }; // of a string, even an empty one
    size_t weight = OWN;
    for (; *text; text++)
        weight += (unsigned char)*text < ' ' ? 6 : 1;
    return weight;
}

size_t record_weight(const struct job *job, size_t most) {
    const struct spec *spec = &job->spec;
    size_t weight = text_weight(spec->cwd);
    for (size_t i = 0; i < spec->argc && weight < most; i++)
        weight += text_weight(spec->argv[i]);
    for (size_t i = 0; i < spec->label_count && weight < most; i++)
        weight += text_weight(spec->labels[i].name) + text_weight(spec->labels[i].value);
    return weight;
}

json_t *record_job(const struct control *control, const struct job *job, int64_t inline_bytes, double now) {
    const struct spec *spec = &job->spec;
    json_t *record = json_object();
    if (!record)
        return NULL;
    record_set(&record, "id", json_integer(job->id));
    record_set(&record, "name", string_or_null(spec->name));
    record_set(&record, "labels", labels_record(spec));
    record_set(&record, "owner", owner_record(control, job));
    record_set(&record, "argv", argv_record(spec));
    record_set(&record, "cwd", bytes_value(spec->cwd));
    record_set(&record, "group", json_string_nocheck("default"));
    record_set(&record, "state", json_string_nocheck(proto_states[job_state(job)]));
    record_set(&record, "pid", job->pid > 0 ? json_integer(job->pid) : json_null());
    record_set(&record, "attempt", json_integer(job->attempt));
    record_set(&record, "ready", json_false());
    record_set(&record, "created_at", instant(job->created_at));
    record_set(&record, "started_at", instant(job->started_at));
    record_set(&record, "ended_at", instant(job_is_final(job) ? job->ended_at : 0));
    record_set(&record, "elapsed", seconds(job_elapsed(job, now)));
    record_set(&record, "durable", json_boolean(runner_is_durable(job)));
    record_set(&record, "deadlines", deadlines_record(job, now));
    record_set(&record, "result", result_record(job));
    record_set(&record, "stdout", stream_record(job, STREAM_OUT, inline_bytes));
    record_set(&record, "stderr", stream_record(job, STREAM_ERR, inline_bytes));
    return record;
}

json_t *record_answer(const struct control *control, const struct job *job, int64_t inline_bytes, double now) {
    json_t *job_record = record_job(control, job, inline_bytes, now);
    json_t *answer = json_object();
    record_set(&answer, "job", job_record);
    return answer;
}
