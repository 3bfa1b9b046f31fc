// The methods, notifications and errors of the protocol.
#include <string.h>

#include "common/proto_record.h"
#include "common/proto_types.h"

const struct proto_error proto_errors[] = {
    {PROTO_PARSE_ERROR, "parse_error", "the line is not UTF-8 or not JSON"},
    {PROTO_INVALID_REQUEST, "invalid_request", "not a JSON-RPC 2.0 request, too long or too deep"},
    {PROTO_METHOD_NOT_FOUND, "method_not_found", "there is no such method"},
    {PROTO_INVALID_PARAMS, "invalid_params", "data.field says which param, data.why what is wrong with it"},
    {PROTO_INTERNAL_ERROR, "internal_error", "supd failed"},
    {PROTO_NOT_FOUND, "not_found", "no such job of this caller"},
    {PROTO_PERMISSION_DENIED, "permission_denied", "not for this caller"},
    {PROTO_CONFLICT, "conflict", "the job's or the name's state does not allow it"},
    {PROTO_LIMIT_REACHED, "limit_reached",
     "data.limit says which: calls, live_jobs (max_* of daemon.info's limits), owner_*, descriptors, records, "
     "input_bytes, output_bytes (all there by their names), or store (the history can't be written, and store_full is "
     "refuse)"},
    {PROTO_SHUTTING_DOWN, "shutting_down", "no new work is taken"},
    {PROTO_UNSUPPORTED, "unsupported", "known, but not to be had here"},
    {0},
};

#define NAME_DOC                                                                                                       \
    "the live job of that name, else the newest final one; of the user's own, or, for an administrator who has none, " \
    "root's"
const struct proto_field proto_target_one[] = {
    {"id", &proto_id, 0, NULL, "the job; or name"},
    {"name", &proto_name, 0, NULL, NAME_DOC},
    {NULL},
};
const struct proto_field proto_target_many[] = {
    {"id", &proto_id, 0, NULL, "the job; or name, or ids"},
    {"name", &proto_name, 0, NULL, NAME_DOC},
    {"ids", &proto_ids, 0, NULL, "the jobs; one unknown is not_found and nothing happens"},
    {NULL},
};

static const struct proto_type budget = {PK_INT, .min = 0, .max = 4194304};
static const struct proto_field run_params[] = {
    {"inline_bytes", &budget, 0, "262144", "output per stream in the answer, head and tail halves"},
    {"follow", &proto_bool, 0, "false", "job.started and job.output notifications before the answer, lossless"},
    {"fd", &proto_bool, 0, "false", "with follow: descriptors of the stored streams come with job.started"},
    {NULL},
};

static const char *const modes[] = {"all", "any", NULL};
static const struct proto_type mode_type = {PK_ENUM, .values = modes};
static const struct proto_field until_fields[] = {
    {"stream", &proto_stream_sel, 0, "\"both\"", "where to look"},
    {"text", &proto_text, PF_REQUIRED, NULL, "what to look for, from offset 0"},
    {NULL},
};
static const struct proto_type until_type = {PK_OBJECT, .fields = until_fields};
static const struct proto_field wait_params[] = {
    {"mode", &mode_type, 0, "\"all\"", "all are final, or one is"},
    {"limit", &proto_duration0, 0, NULL, "how long to wait; passing it is done: false"},
    {"until", &until_type, 0, NULL, "also done once the text was printed; for one job"},
    {"inline_bytes", &budget, 0, "0", "output per stream in each record; of several jobs 16 MiB in all"},
    {NULL},
};
static const struct proto_field status_params[] = {
    {"inline_bytes", &budget, 0, "0", "output per stream in the record"},
    {NULL},
};

static const struct proto_type states_type = {PK_ARRAY, .min = 0, .max = 5, .item = &proto_state};
static const struct proto_type page_type = {PK_INT, .min = 1, .max = 1000};
static const struct proto_field list_params[] = {
    {"states", &states_type, 0, NULL, "only these"},
    {"name", &proto_name, 0, NULL, "only this"},
    {"labels", &proto_filter_labels, 0, NULL, "all must match"},
    {"group", &proto_name, 0, NULL, "only this"},
    {"limit", &page_type, 0, "100", "jobs in one answer; fewer may come, with `next`"},
    {"before", &proto_id, 0, NULL, "cursor: next of the page before"},
    {NULL},
};
static const struct proto_field kill_params[] = {
    {"signal", &proto_signal, 0, NULL, "instead of the job's stop_signal"},
    {"grace", &proto_duration0, 0, NULL, "instead of the job's; 0: SIGKILL at once and nothing else"},
    {NULL},
};
static const char *const tos[] = {"leader", "tree", NULL};
static const struct proto_type to_type = {PK_ENUM, .values = tos};
static const struct proto_field signal_params[] = {
    {"signal", &proto_signal, PF_REQUIRED, NULL, "what to deliver"},
    {"to", &to_type, 0, "\"tree\"", "whom"},
    {NULL},
};
static const struct proto_type piece = {PK_INT, .min = 1, .max = 4194304};
static const struct proto_field output_params[] = {
    {"stream", &proto_stream_sel, 0, "\"both\"", "which"},
    {"offset", &proto_offset, 0, "0", "where to begin"},
    {"limit_bytes", &piece, 0, "65536", "decoded bytes in one answer"},
    {"encoding", &proto_encoding, 0, NULL, "base64 forces it"},
    {"follow", &proto_bool, 0, "false", "job.output notifications until eof"},
    {"fd", &proto_bool, 0, "false", "descriptors of the streams asked for, stdout first"},
    {"hold", &proto_bool, 0, "false", "lossless: for the holder of the job's lease, with follow"},
    {NULL},
};
static const struct proto_field input_params[] = {
    {"data", &proto_string, 0, NULL, "bytes for its stdin"},
    {"encoding", &proto_encoding, 0, "\"utf-8\"", "how data is to be read"},
    {"eof", &proto_bool, 0, "false", "close its stdin after them"},
    {NULL},
};
static const struct proto_field resize_params[] = {
    {"rows", &proto_rows, PF_REQUIRED, NULL, "of its terminal"},
    {"cols", &proto_rows, PF_REQUIRED, NULL, "of its terminal"},
    {NULL},
};
static const struct proto_field update_params[] = {
    {"timeout", &proto_duration, PF_NULL, NULL, "wall clock, from now; null removes it"},
    {"idle_timeout", &proto_duration, PF_NULL, NULL, "silence, from now; null removes it"},
    {"labels", &proto_labels, 0, NULL, "instead of those it has"},
    {"priority", &proto_integer, PF_LATER, NULL, "its place in the queue"},
    {NULL},
};
static const struct proto_type true_type = {PK_BOOL};
static const struct proto_field forget_params[] = {
    {"final", &true_type, 0, NULL, "true: all of one's own final jobs"},
    {NULL},
};
static const char *const event_words[] = {"job.queued",    "job.started",     "job.ready",
                                          "job.stopping",  "job.restarting",  "job.final",
                                          "job.forgotten", "daemon.stopping", NULL};
static const struct proto_type event_word = {PK_ENUM, .values = event_words};
static const struct proto_type event_types = {PK_ARRAY, .max = 100, .item = &event_word};
static const struct proto_type event_jobs = {PK_ARRAY, .max = 10000, .item = &proto_id};
static const struct proto_field subscribe_params[] = {
    {"since", &proto_count, 0, NULL, "events after this number; default: from now on"},
    {"jobs", &event_jobs, 0, NULL, "only of these"},
    {"types", &event_types, 0, NULL, "only these"},
    {"snapshot", &proto_bool, 0, "false",
     "the live jobs as they are at seq; refused where what their clients gave is more than 16 MiB"},
    {NULL},
};
static const struct proto_type subscription_type = {PK_INT, .min = 1, .max = (double)(PROTO_ID_MAX - 1)};
static const struct proto_field unsubscribe_params[] = {
    {"subscription", &subscription_type, PF_REQUIRED, NULL, "as the answer or notification gave it"},
    {NULL},
};
static const char *const stop_jobs[] = {"kill", "keep", NULL};
static const struct proto_type stop_jobs_type = {PK_ENUM, .values = stop_jobs};
static const struct proto_field stop_params[] = {
    {"jobs", &stop_jobs_type, 0, "\"kill\"", "what becomes of live jobs"},
    {NULL},
};

static const struct proto_field job_answer[] = {{"job", &proto_job_type, 0, NULL, "its record"}, {NULL}};
static const struct proto_type job_result = {PK_OBJECT, .name = "JobAnswer", .fields = job_answer};
static const struct proto_field jobs_answer[] = {{"jobs", &proto_jobs, 0, NULL, "their records"}, {NULL}};
static const struct proto_type jobs_result = {PK_OBJECT, .fields = jobs_answer};
static const struct proto_field wait_answer[] = {
    {"done", &proto_bool, 0, NULL, "what was waited for has come"},
    {"matched", &proto_bool, 0, NULL, "until was found"},
    {"jobs", &proto_jobs, 0, NULL, "in the order asked for"},
    {NULL},
};
static const struct proto_type wait_result = {PK_OBJECT, .fields = wait_answer};
static const struct proto_field list_answer[] = {
    {"jobs", &proto_jobs, 0, NULL, "newest first"},
    {"next", &proto_id, PF_NULL, NULL, "cursor of the next page"},
    {NULL},
};
static const struct proto_type list_result = {PK_OBJECT, .fields = list_answer};
static const struct proto_field extents_fields[] = {
    {"stdout", &proto_ranges, 0, NULL, "of stdout"},
    {"stderr", &proto_ranges, 0, NULL, "of stderr"},
    {NULL},
};
static const struct proto_type extents_both = {PK_OBJECT, .fields = extents_fields};
static const struct proto_type *const extents_any[] = {&proto_ranges, &extents_both, NULL};
static const struct proto_type extents_type = {PK_ONEOF, .any = extents_any};
static const struct proto_field output_answer[] = {
    {"chunks", &proto_chunks, 0, NULL, "in the order in which supd read them"},
    {"next", &proto_next, 0, NULL, "where to go on"},
    {"gaps", &proto_gaps, 0, NULL, "ranges skipped by this answer"},
    {"eof", &proto_bool, 0, NULL, "closed, and this reaches the end"},
    {"subscription", &subscription_type, PF_OPTIONAL, NULL, "of a follow"},
    {"layout", &proto_layout, PF_OPTIONAL, NULL, "with fd, of a live job: where an offset is in a descriptor"},
    {"extents", &extents_type, PF_OPTIONAL, NULL,
     "with fd, of a final job: the ranges that stand one after another in the descriptor; for both streams by stream"},
    {NULL},
};
static const struct proto_type output_result = {PK_OBJECT, .fields = output_answer};
static const struct proto_field subscribe_answer[] = {
    {"subscription", &subscription_type, 0, NULL, "for event.unsubscribe"},
    {"seq", &proto_count, 0, NULL, "the last event before the first that will come"},
    {"jobs", &proto_jobs, PF_OPTIONAL, NULL, "of the snapshot"},
    {NULL},
};
static const struct proto_type subscribe_result = {PK_OBJECT, .fields = subscribe_answer};
static const struct proto_field input_answer[] = {
    {"accepted_bytes", &proto_count, 0, NULL, "taken by the pipe"},
    {NULL},
};
static const struct proto_type input_result = {PK_OBJECT, .fields = input_answer};
static const struct proto_field forget_answer[] = {
    {"forgotten", &proto_count, 0, NULL, "how many"},
    {NULL},
};
static const struct proto_type forget_result = {PK_OBJECT, .fields = forget_answer};

static const struct proto_type setting_names = {PK_ARRAY, .max = 100, .item = &proto_string};
static const struct proto_field reload_fields[] = {
    {"later", &setting_names, 0, NULL, "settings that have changed, and count from the next start or daemon.reexec on"},
    {NULL},
};
static const struct proto_type reload_result = {PK_OBJECT, .fields = reload_fields};
static const struct proto_field reexec_fields[] = {
    {"version", &proto_string, 0, NULL, "of the program that goes on"},
    {"jobs", &proto_count, 0, NULL, "live jobs that it goes on with"},
    {NULL},
};
static const struct proto_type reexec_result = {PK_OBJECT, .fields = reexec_fields};

const struct proto_method proto_methods[] = {
    {"job.run", "Starts a job and answers with its record and output once it is final.", PT_NONE, false,
     proto_spec_fields, run_params, &job_result},
    {"job.start", "Starts a job and answers once its leader is exec'ed or has failed to be.", PT_NONE, false,
     proto_spec_fields, NULL, &job_result},
    {"job.wait", "Waits for jobs to become final, or for a text in the output of one.", PT_MANY, false, NULL,
     wait_params, &wait_result},
    {"job.status", "The record of a job.", PT_ONE, false, NULL, status_params, &job_result},
    {"job.list", "Records of jobs, newest first, page by page.", PT_NONE, false, NULL, list_params, &list_result},
    {"job.kill", "Ends jobs: the signal and SIGCONT to the tree, after grace SIGKILL.", PT_MANY, false, NULL,
     kill_params, &jobs_result},
    {"job.signal", "Delivers a signal, nothing more.", PT_ONE, false, NULL, signal_params, &proto_empty},
    {"job.output", "Stored output from an offset, and what follows.", PT_ONE, false, NULL, output_params,
     &output_result},
    {"job.input", "Gives bytes to a job's stdin; answers once the pipe has taken them.", PT_ONE, false, NULL,
     input_params, &input_result},
    {"job.resize", "Gives a job's terminal another size.", PT_ONE, false, NULL, resize_params, &proto_empty},
    {"job.update", "Changes the deadlines or the labels of a job.", PT_ONE, false, NULL, update_params, &job_result},
    {"job.lease", "Ties the job to this connection: its end kills the job.", PT_ONE, false, NULL, NULL, &job_result},
    {"job.forget", "Drops final jobs and their output.", PT_MANY, false, NULL, forget_params, &forget_result},
    {"event.subscribe", "Tells what happens to jobs by notifications.", PT_NONE, false, NULL, subscribe_params,
     &subscribe_result},
    {"event.unsubscribe", "Ends a subscription, also that of a follow.", PT_NONE, false, NULL, unsubscribe_params,
     &proto_empty},
    {"daemon.info", "What this daemon is, can do and allows.", PT_NONE, false, NULL, NULL, &proto_info},
    {"daemon.stats", "Counters and gauges.", PT_NONE, false, NULL, NULL, &proto_stats},
    {"daemon.reload", "Reads the settings again.", PT_NONE, true, NULL, NULL, &reload_result},
    {"daemon.reexec",
     "Goes on as the program that is installed now: jobs, output and clients stay. Answered by the new one.", PT_NONE,
     true, NULL, NULL, &reexec_result},
    {"daemon.stop", "Ends the daemon.", PT_NONE, true, NULL, stop_params, &proto_empty},
    {"rpc.discover", "This protocol as an OpenRPC document.", PT_NONE, false, NULL, NULL, &proto_map_any},
    {NULL},
};

static const struct proto_type request_id = {PK_ANY, .doc = "the id of the call"};
static const struct proto_field started_note[] = {
    {"request", &request_id, 0, NULL, "the id of the call"},
    {"job", &proto_job_type, 0, NULL, "its record"},
    {"layout", &proto_layout, PF_OPTIONAL, NULL, "with fd: where an offset is in the descriptors that come along"},
    {NULL},
};
static const struct proto_field output_note[] = {
    {"subscription", &subscription_type, 0, NULL, "for event.unsubscribe"},
    {"request", &request_id, 0, NULL, "the id of the call"},
    {"id", &proto_id, 0, NULL, "the job"},
    {"chunks", &proto_chunks, 0, NULL, "in the order in which supd read them"},
    {"next", &proto_next, 0, NULL, "where to go on after a lost connection"},
    {"gaps", &proto_gaps, 0, NULL, "ranges skipped"},
    {"eof", &proto_bool, 0, NULL, "the last one"},
    {NULL},
};
static const char *const note_words[] = {
    "job.queued", "job.started",   "job.ready",       "job.stopping", "job.restarting",
    "job.final",  "job.forgotten", "daemon.stopping", "gap",          NULL};
static const struct proto_type note_word = {PK_ENUM, .values = note_words};
static const struct proto_field event_note[] = {
    {"subscription", &subscription_type, 0, NULL, "whose"},
    {"seq", &proto_count, 0, NULL, "its number: rises by one for every event, filters leave holes"},
    {"type", &note_word, 0, NULL, "what happened; gap: events from to to are not kept any more"},
    {"at", &proto_instant, 0, NULL, "when"},
    {"id", &proto_id, PF_NULL, NULL, "of the job"},
    {"job", &proto_job_type, PF_NULL, NULL, "its record; null of a job that is forgotten, and of the daemon's own"},
    {"from", &proto_count, PF_OPTIONAL, NULL, "of a gap: the first that is missing"},
    {"to", &proto_count, PF_OPTIONAL, NULL, "of a gap: the last that is missing"},
    {NULL},
};
const struct proto_method proto_notifications[] = {
    {"event", "Something happened to a job, or to the daemon.", PT_NONE, false, NULL, event_note, NULL},
    {"job.started", "A job.run with follow has started its job.", PT_NONE, false, NULL, started_note, NULL},
    {"job.output", "Output of a followed job.", PT_NONE, false, NULL, output_note, NULL},
    {NULL},
};

const struct proto_method *proto_method_find(const char *name) {
    for (const struct proto_method *m = proto_methods; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

const struct proto_error *proto_error_find(int code) {
    const struct proto_error *internal = NULL;
    for (const struct proto_error *e = proto_errors; e->code; e++) {
        if (e->code == code)
            return e;
        if (e->code == PROTO_INTERNAL_ERROR)
            internal = e;
    }
    return internal;
}

void proto_method_lists(const struct proto_method *method, const struct proto_field *lists[4]) {
    size_t n = 0;
    if (method->spec)
        lists[n++] = method->spec;
    if (method->target == PT_ONE)
        lists[n++] = proto_target_one;
    if (method->target == PT_MANY)
        lists[n++] = proto_target_many;
    if (method->params)
        lists[n++] = method->params;
    lists[n] = NULL;
}
