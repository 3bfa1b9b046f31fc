// outcome: how a leader, and with it a job, ended. Plain data; no system calls.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/spec.h"

// The steps of a launch, in order; which one failed is told in result.error.stage. Files have their numbers.
enum launch_stage {
    STAGE_NONE,
    STAGE_RESOURCES, // pipes, memory, processes, the cgroup or the reaper
    STAGE_IDENTITY,  // uid, gid, groups
    STAGE_LIMITS,    // rlimits
    STAGE_CWD,
    STAGE_STDIO, // stdin, stdout, stderr: opening files, laying descriptors
    STAGE_EXEC,
    // Of the limits those that the job asked for:
    STAGE_NICE,
    STAGE_LIMIT, // and from here on, in the order of spec_limit
    STAGE_COUNT = STAGE_LIMIT + LIMIT_COUNT,
};

enum usage_source { USAGE_WAIT4, USAGE_CGROUP };

// What an attempt used. Seconds and bytes; -1: not known. From wait4: the leader and the descendants it waited for. From a
// cgroup: the whole tree; what only wait4 tells, from the largest resident set on, is of the leader and those all the same.
struct usage {
    enum usage_source source;
    double user, system;
    int64_t read_bytes, written_bytes, peak_bytes;
    int64_t max_rss_bytes;
    int64_t minor_faults, major_faults;
    int64_t voluntary_switches, involuntary_switches;
};

// The end of a leader. `known` is false when nobody can tell how it ended; then the rest is zero.
struct leader_exit {
    bool known;
    int exit_code; // -1 where a signal ended it
    int signal;    // 0 where it exited
    bool core_dumped;
    bool no_usage; // it is not known
    struct usage usage;
};

// In the order of proto_reasons, which a test holds against this one.
enum reason {
    REASON_EXITED,
    REASON_SIGNALED,
    REASON_TIMEOUT,
    REASON_IDLE_TIMEOUT,
    REASON_CPU_TIMEOUT,
    REASON_QUEUE_TIMEOUT,
    REASON_OUTPUT_LIMIT,
    REASON_OOM,
    REASON_KILLED,
    REASON_SPAWN_FAILED,
    REASON_SKIPPED,
    REASON_LOST,
    REASON_COUNT,
    REASON_NONE = -1,
};

enum killer { KILLER_NONE, KILLER_CLIENT, KILLER_LEASE, KILLER_DAEMON };

// Why a job is to end, and who says so.
struct cause {
    enum reason reason;
    enum killer killer;
    int64_t uid; // of the client, -1 where there is none
};

// How a job ended.
struct outcome {
    enum reason reason;
    struct cause cause;      // reason REASON_NONE where it ended by itself
    struct leader_exit end;  // where a leader was started
    enum launch_stage stage; // spawn_failed
    int error;               // spawn_failed: positive errno
    pid_t *survivors;        // owned
    size_t survivor_count;
    bool oom;               // the kernel's OOM killer ended some of the tree
    bool survivors_unknown; // what held the tree was killed: nobody can tell
    bool incomplete;
};

// The reason of an ended job: a failed launch, else the first cause that acted on the living leader, else how it ended.
enum reason outcome_reason(const struct outcome *outcome, bool launched);
bool reason_is_timeout(enum reason reason);
void outcome_done(struct outcome *outcome);
