// The records that answers carry: the job, its result, chunks of output, what the daemon says of itself.
#include "common/proto_types.h"
#include "common/proto_record.h"

const char *const proto_states[] = {"queued", "starting", "running", "stopping", "final", NULL};
const char *const proto_reasons[] = {"exited",        "signaled",     "timeout", "idle_timeout", "cpu_timeout",
                                     "queue_timeout", "output_limit", "oom",     "killed",       "spawn_failed",
                                     "skipped",       "lost",         NULL};
const struct proto_type proto_state = {PK_ENUM, .name = "State", .values = proto_states};
static const struct proto_type reason_type = {PK_ENUM, .name = "Reason", .values = proto_reasons};
static const struct proto_type text_any = {PK_STRING, .max = 1e9, .nul = true};

static const char *const stages[] = {"resources", "identity", "limits", "cwd", "stdio", "exec", NULL};
static const struct proto_type stage_type = {PK_ENUM, .values = stages};
static const struct proto_field error_fields[] = {
    {"stage", &stage_type, 0, NULL, "the step that failed"},
    {"errno", &text_any, 0, NULL, "its name, such as ENOENT"},
    {"message", &text_any, 0, NULL, "what failed, on what, why"},
    {NULL},
};
static const struct proto_type error_type = {PK_OBJECT, .name = "SpawnError", .fields = error_fields};

static const char *const killers[] = {"client", "lease", "daemon", NULL};
static const struct proto_type killer_type = {PK_ENUM, .values = killers};
static const struct proto_field killed_by_fields[] = {
    {"by", &killer_type, 0, NULL, "who ended it"},
    {"uid", &proto_count, PF_NULL, NULL, "the client's user"},
    {NULL},
};
static const struct proto_type killed_by_type = {PK_OBJECT, .name = "KilledBy", .fields = killed_by_fields};

static const char *const sources[] = {"wait4", "cgroup", NULL};
static const struct proto_type source_type = {PK_ENUM, .values = sources};
static const struct proto_field usage_fields[] = {
    {"user", &proto_elapsed, 0, NULL, "CPU seconds in user mode"},
    {"system", &proto_elapsed, 0, NULL, "CPU seconds in the kernel"},
    {"read_bytes", &proto_size, PF_NULL, NULL, "from disks"},
    {"written_bytes", &proto_size, PF_NULL, NULL, "to disks"},
    {"memory_peak_bytes", &proto_size, PF_NULL, NULL, "most memory of the tree at once, where its cgroup tells"},
    {"max_rss_bytes", &proto_size, 0, NULL, "largest resident set of the leader, or of one it waited for; so the rest"},
    {"minor_faults", &proto_count, 0, NULL, "page faults without I/O"},
    {"major_faults", &proto_count, 0, NULL, "page faults with I/O"},
    {"voluntary_switches", &proto_count, 0, NULL, "context switches of its own accord"},
    {"involuntary_switches", &proto_count, 0, NULL, "context switches forced on it"},
    {"source", &source_type, 0, NULL,
     "cgroup: CPU time, I/O and peak memory are of the whole tree; wait4: all is of the leader and those it waited "
     "for, not of children that ended ignored (SIGCHLD)"},
    {NULL},
};
static const struct proto_type usage_type = {PK_OBJECT, .name = "Usage", .fields = usage_fields};
static const struct proto_type pids_type = {PK_ARRAY, .max = 1e6, .item = &proto_pid};

static const struct proto_field result_fields[] = {
    {"reason", &reason_type, 0, NULL, "why the job ended"},
    {"exit_code", &proto_count, PF_NULL, NULL, "of the leader, where it exited"},
    {"signal", &text_any, PF_NULL, NULL, "that ended the leader"},
    {"core_dumped", &proto_bool, 0, NULL, "whether it left a core"},
    {"timed_out", &proto_bool, 0, NULL, "the reason is one of the timeouts"},
    {"error", &error_type, PF_NULL, NULL, "spawn_failed: what failed"},
    {"killed_by", &killed_by_type, PF_NULL, NULL, "who asked for the end"},
    {"usage", &usage_type, PF_NULL, NULL, "resources used"},
    {"survivors", &pids_type, PF_NULL, NULL, "processes of the tree that are still there; null: not known"},
    {"incomplete", &proto_bool, 0, NULL, "a kept descendant still held a pipe"},
    {NULL},
};
static const struct proto_type result_type = {PK_OBJECT, .name = "Result", .fields = result_fields};

static const struct proto_field owner_fields[] = {
    {"uid", &proto_count, 0, NULL, "numeric user"},
    {"user", &text_any, PF_NULL, NULL, "its name"},
    {NULL},
};
static const struct proto_type owner_type = {PK_OBJECT, .name = "Owner", .fields = owner_fields};

static const struct proto_field deadline_fields[] = {
    {"timeout", &proto_elapsed, PF_NULL, NULL, "seconds left"},
    {"idle_timeout", &proto_elapsed, PF_NULL, NULL, "seconds left"},
    {"cpu_timeout", &proto_elapsed, PF_NULL, NULL, "CPU seconds left"},
    {"queue_timeout", &proto_elapsed, PF_NULL, NULL, "seconds left"},
    {NULL},
};
static const struct proto_type deadlines_type = {PK_OBJECT, .name = "Deadlines", .fields = deadline_fields};

static const struct proto_field stream_fields[] = {
    {"bytes", &proto_count, 0, NULL, "written by the job so far"},
    {"gaps", &proto_ranges, 0, NULL, "ranges that the budget dropped"},
    {"eof", &proto_bool, 0, NULL, "the stream is closed"},
    {"data", &proto_string, PF_OPTIONAL, NULL, "what is kept, where asked for"},
    {"encoding", &proto_encoding, PF_OPTIONAL, NULL, "of data"},
    {"cut", &proto_range, PF_OPTIONAL, NULL, "the range that data leaves out"},
    {NULL},
};
static const struct proto_type stream_type = {PK_OBJECT, .name = "Stream", .fields = stream_fields};

static const struct proto_type out_arg_text = {PK_STRING, .max = 1e9, .nul = true};
static const struct proto_type *const out_arg_any[] = {&out_arg_text, &proto_bytes, NULL};
static const struct proto_type out_arg = {PK_ONEOF, .name = "ArgumentOut", .any = out_arg_any};
static const struct proto_type out_argv = {PK_ARRAY, .max = 1e6, .item = &out_arg};

static const struct proto_field job_fields[] = {
    {"id", &proto_id, 0, NULL, "never used again"},
    {"name", &proto_name, PF_NULL, NULL, "as given"},
    {"labels", &proto_labels, 0, NULL, "as given"},
    {"owner", &owner_type, 0, NULL, "who submitted it"},
    {"argv", &out_argv, 0, NULL, "as given"},
    {"cwd", &out_arg, 0, NULL, "working directory"},
    {"group", &proto_name, 0, NULL, "its queue"},
    {"state", &proto_state, 0, NULL, "where it stands"},
    {"pid", &proto_pid, PF_NULL, NULL, "of the leader"},
    {"attempt", &proto_count, 0, NULL, "which start this is, from 1"},
    {"ready", &proto_bool, 0, NULL, "whether it said it is"},
    {"created_at", &proto_instant, 0, NULL, "accepted"},
    {"started_at", &proto_instant, PF_NULL, NULL, "the leader was started"},
    {"ended_at", &proto_instant, PF_NULL, NULL, "the leader ended"},
    {"elapsed", &proto_elapsed, PF_NULL, NULL, "seconds from start to end, or until now"},
    {"durable", &proto_bool, 0, NULL, "whether the store knows of it"},
    {"deadlines", &deadlines_type, 0, NULL, "what is left of each"},
    {"result", &result_type, PF_NULL, NULL, "once final"},
    {"stdout", &stream_type, 0, NULL, "its stdout"},
    {"stderr", &stream_type, 0, NULL, "its stderr"},
    {NULL},
};
const struct proto_type proto_job_type = {PK_OBJECT, .name = "Job", .fields = job_fields};
const struct proto_type proto_jobs = {PK_ARRAY, .max = 1e9, .item = &proto_job_type};

static const struct proto_field chunk_fields[] = {
    {"stream", &proto_stream_name, 0, NULL, "which"},
    {"offset", &proto_count, 0, NULL, "of its first byte"},
    {"data", &proto_string, PF_OPTIONAL, NULL, "the bytes; with fd they are in the descriptor"},
    {"encoding", &proto_encoding, PF_OPTIONAL, NULL, "of data"},
    {"end", &proto_count, PF_OPTIONAL, NULL, "with fd: offset behind its last byte"},
    {"at", &proto_instant, PF_NULL, NULL, "when supd read it; null where no longer known"},
    {NULL},
};
static const struct proto_type chunk_type = {PK_OBJECT, .name = "Chunk", .fields = chunk_fields};
const struct proto_type proto_chunks = {PK_ARRAY, .max = 1e6, .item = &chunk_type};
static const struct proto_field layout_fields[] = {
    {"head_bytes", &proto_size, 0, NULL, "an offset o below it is at o"},
    {"ring_bytes", &proto_size, 0, NULL, "any other is at head_bytes + (o - head_bytes) mod ring_bytes"},
    {NULL},
};
const struct proto_type proto_layout = {PK_OBJECT, .name = "Layout", .fields = layout_fields};
static const struct proto_field next_fields[] = {
    {"stdout", &proto_count, PF_NULL, NULL, "offset to go on from"},
    {"stderr", &proto_count, PF_NULL, NULL, "offset to go on from"},
    {NULL},
};
const struct proto_type proto_next = {PK_OBJECT, .name = "Next", .fields = next_fields};
static const struct proto_field gap_fields[] = {
    {"stream", &proto_stream_name, 0, NULL, "which"},
    {"start", &proto_count, 0, NULL, "first byte dropped"},
    {"end", &proto_count, 0, NULL, "first byte after it"},
    {NULL},
};
static const struct proto_type gap_type = {PK_OBJECT, .name = "Gap", .fields = gap_fields};
const struct proto_type proto_gaps = {PK_ARRAY, .max = 1e6, .item = &gap_type};
