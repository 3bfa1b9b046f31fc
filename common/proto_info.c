// What daemon.info and daemon.stats answer.
#include "common/proto_record.h"
#include "common/proto_types.h"

static const char *const tree_words[] = {"cgroup", "reaper", "none", NULL};
static const struct proto_type tree_type = {PK_ENUM, .values = tree_words};
static const char *const spawn_words[] = {"fast", "plain", NULL};
static const struct proto_type spawn_type = {PK_ENUM, .values = spawn_words};
static const char *const store_words[] = {"sqlite", "memory", NULL};
static const struct proto_type store_type = {PK_ENUM, .values = store_words};

static const struct proto_field capability_fields[] = {
    {"tree", &tree_type, 0, NULL, "what holds a job's processes together"},
    {"tree_why", &proto_string, 0, NULL, "why this way"},
    {"spawn", &spawn_type, 0, NULL, "how leaders are started"},
    {"store", &store_type, 0, NULL, "where final jobs are kept"},
    {"store_trouble", &proto_string, PF_NULL, NULL,
     "why the store can't be written now, to administrators; to others that it can't"},
    {"privileges", &proto_string, 0, NULL, "what jobs may gain by set-uid programs and the like: any, or no_new"},
    {"spool", &proto_string, 0, NULL, "directory of captured output"},
    {"limits_why", &proto_string, PF_NULL, NULL, "why some limits of trees can't be enforced here"},
    {"unsupported", &(const struct proto_type){PK_ARRAY, .max = 1e3, .item = &proto_string}, 0, NULL,
     "params that are refused with code 6"},
    {NULL},
};
static const struct proto_type capabilities_type = {PK_OBJECT, .name = "Capabilities", .fields = capability_fields};
static const struct proto_type limit_map = {PK_MAP, .name = "Limits", .max = 1e3, .item = &proto_any};

static const struct proto_field info_fields[] = {
    {"name", &proto_string, 0, NULL, "\"supd\""},
    {"version", &proto_string, 0, NULL, "of the program"},
    {"protocol", &proto_count, 0, NULL, "version of this protocol"},
    {"pid", &proto_pid, 0, NULL, "of the daemon"},
    {"uid", &proto_count, 0, NULL, "of the daemon"},
    {"started_at", &proto_instant, 0, NULL, "of the daemon"},
    {"socket", &proto_string, 0, NULL, "path"},
    {"capabilities", &capabilities_type, 0, NULL, "what is in force here"},
    {"limits", &limit_map, 0, NULL, "every cap that a client can come to, and every default"},
    {NULL},
};
const struct proto_type proto_info = {PK_OBJECT, .name = "Info", .fields = info_fields};

static const struct proto_type count_map = {PK_MAP, .max = 1e3, .item = &proto_count};
static const struct proto_field jobs_fields[] = {
    {"by_state", &count_map, 0, NULL, "jobs known, by state"},
    {"by_reason", &count_map, 0, NULL, "jobs ended since the daemon started, by reason"},
    {"accepted", &proto_count, 0, NULL, "jobs since the daemon started"},
    {NULL},
};
static const struct proto_type jobs_type = {PK_OBJECT, .fields = jobs_fields};
static const struct proto_field output_fields[] = {
    {"captured_bytes", &proto_count, 0, NULL, "read from jobs since the daemon started"},
    {"stored_bytes", &proto_count, 0, NULL, "held now"},
    {"stored_limit_bytes", &proto_count, 0, NULL, "cap of stored_bytes"},
    {NULL},
};
static const struct proto_type output_type = {PK_OBJECT, .fields = output_fields};
static const struct proto_field launch_fields[] = {
    {"count", &proto_count, PF_NULL, NULL, "leaders started; for administrators, as the next three"},
    {"failed", &proto_count, PF_NULL, NULL, "launches that failed"},
    {"mean", &proto_elapsed, PF_NULL, NULL, "seconds from acceptance to exec"},
    {"max", &proto_elapsed, PF_NULL, NULL, "seconds from acceptance to exec"},
    {"queued", &proto_count, 0, NULL, "waiting for a launcher now"},
    {NULL},
};
static const struct proto_type launch_type = {PK_OBJECT, .fields = launch_fields};
static const struct proto_field client_fields[] = {
    {"connected", &proto_count, 0, NULL, "now"},
    {"accepted", &proto_count, 0, NULL, "since the daemon started"},
    {"refused", &proto_count, 0, NULL,
     "by the setting access, by a limit, or as the user database did not answer; 0 to who is no administrator"},
    {"requests", &proto_count, 0, NULL, "since the daemon started"},
    {NULL},
};
static const struct proto_type clients_type = {PK_OBJECT, .fields = client_fields};
static const struct proto_field memory_fields[] = {
    {"rss_bytes", &proto_count, PF_NULL, NULL, "resident set of the daemon; for administrators, as the next"},
    {"private_bytes", &proto_count, PF_NULL, NULL, "of it shared with nobody"},
    {NULL},
};
static const struct proto_type memory_type = {PK_OBJECT, .fields = memory_fields};
static const struct proto_field history_fields[] = {
    {"jobs", &proto_count, PF_NULL, NULL, "final jobs in the store; for administrators, as the rest of it"},
    {"bytes", &proto_count, PF_NULL, NULL, "what they take of the disk"},
    {"waiting", &proto_count, PF_NULL, NULL, "changes that are not in it yet"},
    {"safe", &proto_bool, PF_NULL, NULL, "whether all of it would outlive a loss of power now"},
    {NULL},
};
static const struct proto_type history_type = {PK_OBJECT, .fields = history_fields};
static const struct proto_field stats_fields[] = {
    {"uptime", &proto_elapsed, 0, NULL, "seconds"},
    {"jobs", &jobs_type, 0, NULL, "jobs"},
    {"output", &output_type, 0, NULL, "captured output"},
    {"history", &history_type, 0, NULL, "the store"},
    {"worker_starts", &proto_count, 0, NULL, "how often the worker was started, since the daemon was"},
    {"launch", &launch_type, 0, NULL, "launch latency"},
    {"clients", &clients_type, 0, NULL, "connections"},
    {"memory", &memory_type, 0, NULL, "the daemon's own"},
    {NULL},
};
const struct proto_type proto_stats = {PK_OBJECT, .name = "Stats", .fields = stats_fields};
