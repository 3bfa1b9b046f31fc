// runner: turns specs into running jobs and running jobs into results. Here libev's watchers meet the
// lifecycle: watchers give events, the lifecycle gives actions, the runner carries them out.
//
// All on the loop. Callbacks of the listener come from the loop or from inside runner_* calls that say so.
#pragma once

#include <ev.h>

#include "daemon/core/job.h"
#include "daemon/core/registry.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/identity.h"
#include "daemon/os/launcher.h"
#include "daemon/os/tree.h"
#include "daemon/store/order.h"
#include "daemon/store/spool.h"

struct runner;
struct run;

struct runner_listener {
    void (*started)(struct job *job, void *data);  // the leader is exec'ed
    void (*stopping)(struct job *job, void *data); // a deadline or somebody ends it; the leader still lives
    // Bytes were read: `bytes` at `offset` of the stream, valid during the call.
    void (*output)(struct job *job, int stream, int64_t offset, const char *bytes, size_t size, void *data);
    void (*eof)(struct job *job, int stream, void *data); // the stream is closed
    void (*final)(struct job *job, void *data);
    void (*left)(struct job *job, void *data);      // memory, for the history; may still be held by references
    void (*forgotten)(struct job *job, void *data); // not to be found any more; may still be held by references
    void (*gone)(struct job *job, void *data);      // is freed
};

struct runner_parts {
    struct ev_loop *loop;
    struct launcher *launcher;
    struct descriptors *descriptors;
    struct tree_host *trees;
    struct spool_host *spools;
    struct registry *registry;
    struct kept *kept;       // what outlives the worker
    struct history *history; // what outlives the machine's power, or NULL
    bool sets_identity;      // jobs are other users' too: each child becomes who it is to be
    struct owners *owners;
    int64_t live_max;          // live jobs
    int64_t history_max;       // final jobs
    int64_t history_bytes_max; // of final jobs in memory
};

struct runner_stats {
    int64_t accepted, by_reason[REASON_COUNT];
    int64_t launches, launches_failed;
    double launch_sum, launch_max; // seconds
    int64_t live;
};

// Parts, listener and data are borrowed.
int runner_new(const struct runner_parts *parts, const struct runner_listener *listener, void *data,
               struct runner **ret_runner);
void runner_set_limits(struct runner *runner, int64_t live_max, int64_t history_max, int64_t history_bytes_max);
void runner_free(struct runner *runner); // forgets all jobs; none is live any more

// For whom a job is started, and with what.
struct start {
    struct owner *owner;
    const struct identity *identity;      // whom it runs as; NULL: nobody knows, its launch fails
    struct claimant *claimant;            // for whom it is launched, or NULL
    int fds[3];                           // as many as spec_descriptors says; taken over (and set to -1) on success
    const char *spec_text, *secrets_text; // of the spec as JSON: what is kept of it, and what until it is launched
    size_t spec_size, secrets_size;
    const char *limit;  // which one was reached, where it was refused for that
    bool by_descriptor; // its output will be read from its stored streams: see runner_share
};

// Takes the spec over (left empty) and starts the job. Returns 0 and a job that lives in the registry;
// -EEXIST: the name is in use; -EMFILE: no descriptors left for one more; -EUSERS: a limit; both name it; -ENOMEM. On failure the spec stays the caller's.
int runner_start(struct runner *runner, struct spec *spec, struct start *start, struct job **ret_job);

// Ends a job (see lifecycle_stop). `signal` and `grace` negative: the job's own.
void runner_stop(struct runner *runner, struct job *job, struct cause cause, int signal, double grace);
// New deadlines of a live job (see lifecycle_update).
void runner_update(struct job *job, double timeout, double idle_timeout);
// Delivers one signal. Returns 0, -ESRCH where there is no process (any more), or a negative errno.
int runner_signal(struct runner *runner, struct job *job, int signal, bool leader_only);
// Bytes for a job whose stdin is a stream. `over` comes once, later: the pipe has taken all of them (error 0), or nobody
// will (-EPIPE: the job has closed its stdin, or ended); `taken` says how many went. Takes *bytes over on success.
// Returns 0; -EPIPE: stdin is no stream or closed; -EDQUOT: too much waits already, -EUSERS: of all
// that is its owner's; -ENOMEM.
enum { RUNNER_INPUT_MAX = 8 * 1024 * 1024 }; // waiting for one job: what one request can hold
struct input;
typedef void (*input_over)(struct input *input, int error, size_t taken, void *data);
int runner_input(struct job *job, char **bytes, size_t size, bool eof, input_over over, void *data,
                 struct input **ret_input);
// Gives a job's terminal another size. Returns 0; -ENOTTY: it has none; -ESRCH: it is over.
int runner_resize(struct job *job, unsigned rows, unsigned cols);
// Nobody wants to hear of it any more; the bytes are delivered all the same.
void input_forget(struct input *input);

// Drops a final job. Calls the listener's forgotten.
void runner_forget(struct runner *runner, struct job *job);

// A reference keeps a job's record and output readable after it was forgotten.
void runner_hold(struct job *job);
void runner_release(struct runner *runner, struct job *job);

// The lowest offset that a lossless follower has not taken of a stream: reading waits before that would be
// dropped; INT64_MAX ends it. `min` over followers is the caller's business.
void runner_set_hold(struct runner *runner, struct job *job, int stream, int64_t offset);
// Before the first byte: a stream that will be held needs a window even with no budget.
void runner_widen(struct job *job);

// What is stored stays as it is, and what comes from now on is not kept.
void runner_keep(struct job *job);
// Makes both stored streams files whose layout stays as it is, to be opened by spool_open. Returns 0 or a negative errno.
int runner_share(struct job *job);
// What is kept of a final job's stream, as a descriptor: see spool_export.
int runner_export(const struct job *job, int stream, int64_t extents[2][2], int *ret_count);

// What outlives the worker of a job: its spec as JSON, the lease's session by its serial (0: none). What it was kept under:
const char *runner_kept_spec(const struct runner *runner, const struct job *job, size_t *ret_size); // NULL: nothing
// Another text for it. Returns 0, or -EUSERS with the limit that was reached: then it is kept as it was.
int runner_keep_spec(struct runner *runner, struct job *job, const char *text, size_t size, const char **ret_limit);
void runner_keep_lease(struct job *job, int64_t session);
int64_t runner_kept_lease(const struct job *job);

// The history has the job as it was put last.
void runner_committed(struct runner *runner, int64_t id, bool is_final);
bool runner_is_archived(const struct runner *runner); // the history was told of all jobs
bool runner_is_durable(const struct job *job);        // the history has something of it
// The job has other labels: `spec` as runner_kept_spec, or NULL where nobody keeps it.
void runner_labeled(struct job *job, const char *spec);
void runner_archive_all(struct runner *runner);          // the history's file is another
void runner_rest(struct runner *runner);                 // final jobs that the history has leave memory
const char *runner_archived_spec(const struct job *job); // of one that the history has; else NULL
// A final job of the history, outside the registry, with one reference, which is the caller's. Takes the spec over. NULL
// when memory is out.
struct history_job;
struct job *runner_load(struct runner *runner, struct history_job *history, struct spec *spec);

// A worker that goes on where another stopped. Before descriptors that nobody names are closed and slots are reset:
// launches that were under way use them, and are waited for, or ended.
struct kept_job;
enum { RUNNER_FDS = 8 };
void runner_await_launches(struct kept *kept);
// A number in a record that is no descriptor is taken out: no worker may fall over it again and again.
void runner_drop_closed(struct kept *kept);
bool runner_was_accepted(const struct kept_job *record);                       // it was taken in as a whole
size_t runner_descriptors(const struct kept_job *record, int fds[RUNNER_FDS]); // of it. Returns how many
uid_t runner_record_owner(const struct kept_job *record);
// Before anything new is kept: what the records hold stays theirs.
void runner_claim(struct runner *runner);
const char *runner_record_spec(const struct runner *runner, const struct kept_job *record, size_t *ret_size);
// In which order its streams were read. Returns 0 or -ENOMEM.
int runner_record_order(const struct runner *runner, const struct kept_job *record, struct order *ret_order);
// What it would be launched with, or NULL where it has been; and what came along into `start`.
const char *runner_record_secrets(const struct runner *runner, const struct kept_job *record, struct start *start,
                                  size_t *ret_size);
// Makes the job of a record, and goes on with it. Takes the spec over. Returns 0 or -ENOMEM. In the order of ids.
int runner_adopt(struct runner *runner, struct kept_job *record, struct spec *spec, struct start *start,
                 struct job **ret_job);
void runner_adopted(struct runner *runner); // all of them

struct spool *runner_spool(const struct job *job, int stream);
const struct order *runner_order(const struct job *job);
bool runner_stream_eof(const struct job *job, int stream);
const struct runner_stats *runner_stats(const struct runner *runner);
