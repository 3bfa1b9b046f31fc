// The spec of a job: its fields, their defaults and their options on the command line.
#include "common/bytes.h"
#include "common/proto_types.h"

#include <stdlib.h>
#include <string.h>

static const char *const stdin_words[] = {"null", "stream", "fd", NULL};
static const struct proto_type stdin_word = {PK_ENUM, .values = stdin_words};
static const struct proto_type *const stdin_any[] = {&stdin_word, &proto_bytes, NULL};
static const struct proto_type stdin_type = {PK_ONEOF, .name = "Stdin", .any = stdin_any};

static const char *const stdout_words[] = {"capture", "null", "fd", NULL};
static const char *const stderr_words[] = {"capture", "null", "stdout", "fd", NULL};
static const struct proto_type stdout_word = {PK_ENUM, .values = stdout_words};
static const struct proto_type stderr_word = {PK_ENUM, .values = stderr_words};
static const struct proto_field file_fields[] = {
    {"file", &proto_arg, PF_REQUIRED, NULL, "path, opened as the job's user in its cwd"},
    {"append", &proto_bool, 0, "false", "append instead of replacing what is there"},
    {NULL},
};
static const struct proto_type file_type = {PK_OBJECT, .fields = file_fields};
static const struct proto_type *const stdout_any[] = {&stdout_word, &file_type, NULL};
static const struct proto_type *const stderr_any[] = {&stderr_word, &file_type, NULL};
static const struct proto_type stdout_type = {PK_ONEOF, .name = "Stdout", .any = stdout_any};
static const struct proto_type stderr_type = {PK_ONEOF, .name = "Stderr", .any = stderr_any};

static const struct proto_type term_type = {PK_STRING, .min = 1, .max = 256};
static const struct proto_field pty_fields[] = {
    {"rows", &proto_rows, 0, "24", "rows of the terminal"},
    {"cols", &proto_rows, 0, "80", "columns of the terminal"},
    {"term", &term_type, 0, "\"xterm\"", "TERM of the job; without it one in env stands"},
    {NULL},
};
static const struct proto_type pty_type = {PK_OBJECT, .fields = pty_fields};

static const char *const descendants_words[] = {"kill", "wait", "keep", NULL};
static const struct proto_type descendants_type = {PK_ENUM, .values = descendants_words};

static const char *const on_limit_words[] = {"truncate", "kill", NULL};
static const struct proto_type on_limit_type = {PK_ENUM, .values = on_limit_words};
static const struct proto_type budget_size = {PK_INT, .min = 0, .max = 1073741824};
static const struct proto_field output_fields[] = {
    {"head_bytes", &budget_size, 0, "524288", "bytes kept from the start of each stream", "head-bytes", "SIZE"},
    {"tail_bytes", &budget_size, 0, "524288", "bytes kept at the end of each stream", "tail-bytes", "SIZE"},
    {"limit_bytes", &proto_size, 0, NULL, "bytes after which a stream is discarded", "output-limit", "SIZE"},
    {"on_limit", &on_limit_type, 0, "\"truncate\"", "what passing limit_bytes does to the job", "on-limit",
     "truncate|kill"},
    {NULL},
};
static const struct proto_type output_type = {PK_OBJECT, .fields = output_fields};

static const struct proto_type some_bytes = {PK_INT, .doc = "bytes", .min = 1, .max = (double)PROTO_INT_MAX};
static const struct proto_type some = {PK_INT, .min = 1, .max = (double)PROTO_INT_MAX};
static const struct proto_type weight_type = {PK_INT, .min = 1, .max = 10000};
// In the order of enum spec_limit.
static const struct proto_field limits_fields[] = {
    {"memory_bytes", &some_bytes, 0, NULL, "memory of the tree, no swap; more is oom (cgroup: memory.max)", "memory",
     "SIZE"},
    {"processes", &some, 0, NULL, "processes and threads of the tree (cgroup: pids.max)", "processes", "N"},
    {"cpu_weight", &weight_type, 0, NULL, "share of the processors, 100 is usual (cgroup: cpu.weight)", "cpu-weight",
     "N"},
    {"address_space_bytes", &some_bytes, 0, NULL, "virtual memory of each process (RLIMIT_AS)", "address-space",
     "SIZE"},
    {"open_files", &some, 0, NULL, "descriptors of each process (RLIMIT_NOFILE)", "open-files", "N"},
    {"file_size_bytes", &proto_size, 0, NULL, "size of each file written; more is SIGXFSZ (RLIMIT_FSIZE)", "file-size",
     "SIZE"},
    {"core_bytes", &proto_size, 0, NULL, "size of a core dump (RLIMIT_CORE)", "core-size", "SIZE"},
    {"cpu_seconds", &some, 0, NULL, "CPU time of each process; SIGXCPU, a second later SIGKILL (RLIMIT_CPU)",
     "cpu-seconds", "N"},
    {NULL},
};
static const struct proto_type limits_type = {PK_OBJECT, .fields = limits_fields};

static const struct proto_type user_type = {PK_STRING, .min = 1, .max = PROTO_USER_MAX};
static const char *octal_check(const json_t *value) {
    const char *s = json_string_value(value);
    for (; *s; s++)
        if (*s < '0' || *s > '7')
            return "must be octal digits such as \"022\"";
    return strtoul(json_string_value(value), NULL, 8) > 0777 ? "must be at most \"777\"" : NULL;
}
static const struct proto_type umask_type = {PK_STRING, .min = 1, .max = 4, .pattern = "^[0-7]{1,4}$",
                                             .check = octal_check};
static const struct proto_type nice_type = {PK_INT, .min = -20, .max = 19};
static const char *cwd_check(const json_t *value) {
    size_t size = 0;
    char *path = bytes_from_json(value, &size);
    bool absolute = path && path[0] == '/';
    free(path);
    return absolute ? NULL : "must be an absolute path";
}
static const struct proto_type *const cwd_any[] = {&proto_arg, NULL};
static const struct proto_type cwd_type = {PK_ONEOF, .name = "Path", .any = cwd_any, .check = cwd_check};

static const struct proto_type argv_type = {PK_ARRAY, .min = 1, .max = 100000, .item = &proto_arg};
static const char *env_check(const json_t *value);
static const struct proto_type env_type = {PK_MAP, .max = 10000, .null_items = true, .item = &proto_arg,
                                           .check = env_check};
static const char *env_check(const json_t *value) {
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
        if (key[0] == 0 || strchr(key, '='))
            return "has a name that is empty or holds =";
    return NULL;
}

static const char *const policy_words[] = {"never", "on-failure", "always", NULL};
static const struct proto_type policy_type = {PK_ENUM, .values = policy_words};
static const struct proto_type factor_type = {PK_NUMBER, .min = 1, .max = 1000};
static const struct proto_field restart_fields[] = {
    {"policy", &policy_type, 0, "\"never\"", "when to start it again"},
    {"delay", &proto_duration0, 0, NULL, "before the first restart"},
    {"backoff", &factor_type, 0, NULL, "the delay's factor from one restart to the next"},
    {"max_delay", &proto_duration, 0, NULL, "the longest delay"},
    {"max_attempts", &proto_count, 0, NULL, "attempts in the window"},
    {"window", &proto_duration, 0, NULL, "of max_attempts"},
    {NULL},
};
static const struct proto_type restart_type = {PK_OBJECT, .fields = restart_fields};
static const struct proto_field ready_fields[] = {
    {"text", &proto_text, 0, NULL, "output that says so"},
    {"fd", &proto_count, 0, NULL, "descriptor on which the job says so"},
    {"timeout", &proto_duration, 0, NULL, "by when"},
    {NULL},
};
static const struct proto_type ready_type = {PK_OBJECT, .fields = ready_fields};
static const struct proto_type priority_type = {PK_INT, .min = -1000000, .max = 1000000};
static const struct proto_type after_type = {PK_ARRAY, .max = 10000, .item = &proto_id};

const struct proto_field proto_spec_fields[] = {
    {"argv", &argv_type, PF_REQUIRED, NULL, "the program and its arguments; no shell"},
    {"name", &proto_name, 0, NULL, "unique among the owner's live jobs", "name", "NAME"},
    {"key", &proto_key, 0, NULL, "the same key gives the first job back", "key", "KEY"},
    {"labels", &proto_labels, 0, "{}", "for finding it", "l,label", "KEY=VALUE"},
    {"cwd", &cwd_type, 0, NULL, "working directory; default: the user's home, or / where that is no directory", "C,cwd",
     "DIR"},
    {"env", &env_type, 0, "{}", "variables on top of the job's plain environment; null unsets", "e,env", "KEY=VALUE"},
    {"stdin", &stdin_type, 0, "\"null\"",
     "what the job reads; stream: what job.input gives it; fd: a descriptor sent along", "stdin", "null|stream"},
    {"stdout", &stdout_type, 0, "\"capture\"", "where stdout goes; fd: to a descriptor sent along", "stdout",
     "capture|null|[+]PATH"},
    {"stderr", &stderr_type, 0, "\"capture\"", "where stderr goes; fd: to a descriptor sent along", "stderr",
     "capture|null|stdout|[+]PATH"},
    {"pty", &pty_type, 0, NULL, "a terminal as its stdin, stdout and stderr; one stream, stdout; job.input types"},
    {"timeout", &proto_duration, 0, NULL, "wall clock from the leader's start", "timeout", "DURATION"},
    {"idle_timeout", &proto_duration, 0, NULL, "without output on a captured stream", "idle-timeout", "DURATION"},
    {"cpu_timeout", &proto_duration, 0, NULL,
     "CPU time of the tree; with tree=reaper not of children that ended ignored (SIGCHLD)", "cpu-timeout", "DURATION"},
    {"queue_timeout", &proto_duration, PF_LATER, NULL, "waiting to start"},
    {"stop_signal", &proto_signal, 0, "\"SIGTERM\"", "what a deadline or a kill sends first", "stop-signal", "SIGNAL"},
    {"grace", &proto_duration0, 0, "5", "from the stop signal to SIGKILL; 0: SIGKILL only", "grace", "DURATION"},
    {"descendants", &descendants_type, 0, "\"kill\"", "what becomes of the tree when the leader ends", "descendants",
     "kill|wait|keep"},
    {"output", &output_type, 0, "{}", "what is kept of each stream"},
    {"limits", &limits_type, 0, NULL, "of resources; one that can't be enforced here is refused as unsupported"},
    {"user", &user_type, 0, NULL,
     "as whom it runs, by name or number, in their own surroundings: another user for root only", "u,run-as", "USER"},
    {"umask", &umask_type, 0, "\"022\"", "file mode creation mask, octal", "umask", "OCTAL"},
    {"nice", &nice_type, 0, "0", "scheduling priority, -20 to 19: below 0 for whom the kernel lets", "nice", "N"},
    {"lease", &proto_bool, 0, "false", "the connection's end kills the job (job.run: true)"},
    {"retain", &proto_duration0, 0, "604800", "how long a final job is kept", "retain", "DURATION"},
    {"restart", &restart_type, PF_LATER, NULL, "starting it again"},
    {"ready", &ready_type, PF_LATER, NULL, "when it counts as ready"},
    {"group", &proto_name, PF_LATER, "\"default\"", "the queue it waits in"},
    {"priority", &priority_type, PF_LATER, "0", "its place in the queue"},
    {"after", &after_type, PF_LATER, "[]", "jobs that must end before"},
    {"delay", &proto_duration0, PF_LATER, "0", "before it may start"},
    {NULL},
};
