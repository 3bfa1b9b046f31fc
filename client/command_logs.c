// supctl logs.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/lines.h"
#include "client/output.h"
#include "client/print.h"
#include "common/units.h"
#include "common/util.h"

enum {
    LOGS_FOLLOW = 1,
    LOGS_LINES,
    LOGS_STDOUT,
    LOGS_STDERR,
    LOGS_TIMESTAMPS,
    LOGS_SINCE,
    LOGS_PAGE = 1 << 20,
    LOGS_TRIES = 20
};

static const struct argument logs_arguments[] = {
    {"f,follow", NULL, "go on until the job's output ends", LOGS_FOLLOW},
    {"n,lines", "LINES", "only that many of the last lines", LOGS_LINES},
    {"stdout", NULL, "only its stdout", LOGS_STDOUT},
    {"stderr", NULL, "only its stderr", LOGS_STDERR},
    {"timestamps", NULL, "each line with the time at which supd read it", LOGS_TIMESTAMPS},
    {"since", "TIME", "only what came later: a date, @SECONDS, or a duration ago", LOGS_SINCE},
    {NULL},
};

struct logs {
    struct client *client;
    bool follow;
    const char *stream;
    double since;
    struct lines lines;
    struct output output;
    json_t *id;
    json_t *stored; // {stdout, stderr}: where what was stored at the start ends
    json_t *next;   // {stdout, stderr}
    json_t *extents;
    bool eof, failed;
};

static void on_line(void *data, int stream, const char *bytes, size_t size) {
    struct logs *logs = data;
    output_write(&logs->output, stream, bytes, size);
}

static void logs_filter(struct output *output, int stream, double at, const char *bytes, size_t size) {
    struct logs *logs = output->data;
    if (at > 0 && at < logs->since)
        return;
    if (logs->lines.keep >= 0 || logs->lines.timestamps)
        lines_take(&logs->lines, stream, at, bytes, size);
    else
        output_write(output, stream, bytes, size);
}

static void on_gap(void *data, int stream, int64_t start, int64_t end) {
    output_gap(stream, start, end);
}

// Of the last lines only those gaps are told that lie within what is shown.
static void logs_gap(struct output *output, int stream, int64_t start, int64_t end) {
    lines_gap(&((struct logs *)output->data)->lines, stream, start, end);
}

static bool logs_stream_reached(const struct logs *logs, const char *stream) {
    const json_t *next = json_object_get(logs->next, stream);
    return !json_is_integer(next) ||
           json_integer_value(next) >= json_integer_value(json_object_get(logs->stored, stream));
}

// All that was stored at the start was seen.
static bool logs_reached(const struct logs *logs) {
    return logs_stream_reached(logs, "stdout") && logs_stream_reached(logs, "stderr");
}

static void logs_take(struct logs *logs, const json_t *answer) {
    if (logs->client->json)
        print_json(answer);
    else
        output_take(&logs->output, answer);
    json_object_update(logs->next, json_object_get(answer, "next"));
    logs->eof = json_is_true(json_object_get(answer, "eof"));
    if (logs->follow && logs->lines.keep >= 0 && logs_reached(logs))
        lines_release(&logs->lines, false);
    if (fflush(stdout) != 0)
        logs->output.last_error = errno; // whoever read it has left
}

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
}

static void on_notification(const char *method, json_t *params, void *data) {
    if (streq(method, "job.output"))
        logs_take(data, params);
}

static void on_lost(void *data) {
    ((struct logs *)data)->failed = true;
}

static const struct call_listener logs_listener = {on_answer, on_notification, on_lost};

static json_t *logs_params(const struct logs *logs) {
    json_t *offset = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(logs->next, key, value) {
        if (json_is_integer(value))
            json_object_set(offset, key, value);
    }
    return json_pack("{s:O,s:s,s:o,s:b,s:i}", "id", logs->id, "stream", logs->stream, "offset", offset, "follow",
                     logs->follow, "limit_bytes", LOGS_PAGE);
}

// What comes next, from what was shown last.
static int logs_call(struct logs *logs, json_t **ret_answer) {
    return client_call_again(logs->client, "job.output", logs_params(logs), ret_answer);
}

// A job may print faster than it is read: what it adds meanwhile is nobody's question.
static int logs_pages(struct logs *logs) {
    for (bool more = true; more && !logs->eof;) {
        json_t *answer = NULL;
        if (logs_call(logs, &answer) < 0)
            return -1;
        bool empty = json_array_size(json_object_get(answer, "chunks")) == 0 &&
                     json_array_size(json_object_get(answer, "gaps")) == 0;
        logs_take(logs, answer);
        more = !empty && !logs_reached(logs);
        json_decref(answer);
        if (output_drain(&logs->output) < 0)
            return -1;
    }
    return 0;
}

static int logs_follow(struct logs *logs) {
    while (!logs->eof && !logs->output.last_error) {
        json_t *answer = NULL;
        if (logs_call(logs, &answer) < 0)
            return -1;
        logs_take(logs, answer);
        json_decref(answer);
        while (!logs->eof && !call_is_lost(logs->client->call) && !logs->output.last_error)
            ev_run(call_loop(logs->client->call), EVRUN_ONCE);
    }
    return 0;
}

// Whether the stored bytes can be written as they are: of a job that is over, and of one stream alone, as descriptors
// do not tell in which order two were written.
static bool logs_are_plain(const struct logs *logs, const json_t *job) {
    bool whole = logs->lines.keep < 0 && !logs->lines.timestamps && logs->since <= 0 && !logs->client->json;
    const char *state = json_string_value(json_object_get(job, "state"));
    bool one = !streq(logs->stream, "both") || json_integer_value(json_object_get(logs->stored, "stdout")) == 0 ||
               json_integer_value(json_object_get(logs->stored, "stderr")) == 0;
    return whole && one && state && streq(state, "final");
}

static void on_stored(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
    struct logs *logs = data;
    struct ancillary descriptors = call_take(logs->client->call);
    logs->failed = !result || stored_open(&logs->output.stored, NULL, &descriptors) < 0;
    ancillary_close(&descriptors);
    logs->extents = json_incref(json_object_get(result, "extents"));
    logs->eof = true;
}

static void on_nothing(const char *method, json_t *params, void *data) {
}

// The stream that has bytes, from its descriptor. Returns 0, -1 after saying why not, or 1: it is to be read by chunks.
static int logs_by_descriptor(struct logs *logs) {
    static const struct call_listener listener = {on_stored, on_nothing, on_lost};
    bool is_err = streq(logs->stream, "stderr") ||
                  (streq(logs->stream, "both") && json_integer_value(json_object_get(logs->stored, "stdout")) == 0);
    call_listen(logs->client->call, &listener, logs);
    call_post(logs->client->call, "job.output",
              json_pack("{s:O,s:s,s:b}", "id", logs->id, "stream", is_err ? "stderr" : "stdout", "fd", 1));
    while (!logs->eof && !logs->failed)
        ev_run(call_loop(logs->client->call), EVRUN_ONCE);
    call_listen(logs->client->call, NULL, NULL);
    if (logs->failed) { // what is in between passes none on, or there is too much to be copied
        logs->failed = logs->eof = false;
        return 1;
    }
    return output_extents(&logs->output, is_err, logs->extents,
                          json_integer_value(json_object_get(logs->stored, is_err ? "stderr" : "stdout")));
}

static int logs_read(struct logs *logs, bool plain) {
    int r = plain ? logs_by_descriptor(logs) : 1;
    if (r > 0) {
        call_listen(logs->client->call, &logs_listener, logs);
        r = logs->follow ? logs_follow(logs) : logs_pages(logs);
        call_listen(logs->client->call, NULL, NULL);
    }
    return r;
}

static int logs_print(struct logs *logs, const char *word) {
    json_t *answer = NULL;
    if (client_call(logs->client, word, "job.status", client_job(word), &answer) < 0)
        return -1;
    const json_t *job = json_object_get(answer, "job");
    logs->id = json_incref(json_object_get(job, "id"));
    logs->stored = json_pack("{s:O,s:O}", "stdout", json_object_get(json_object_get(job, "stdout"), "bytes"), "stderr",
                             json_object_get(json_object_get(job, "stderr"), "bytes"));
    logs->next = json_object();
    bool plain = logs_are_plain(logs, job);
    json_decref(answer);
    output_init(&logs->output, logs->client->call, logs);
    logs->output.filter = logs_filter;
    logs->output.gap = logs_gap;
    int r = logs_read(logs, plain);
    if (r == 0 && output_drain(&logs->output) == 0)
        lines_release(&logs->lines, true);
    r = r < 0 || output_drain(&logs->output) < 0 ? -1 : 0;
    output_done(&logs->output);
    lines_done(&logs->lines);
    json_decref(logs->id);
    json_decref(logs->stored);
    json_decref(logs->extents);
    json_decref(logs->next);
    return r;
}

static int logs_option(struct logs *logs, int id, const char *value) {
    char *end;
    switch (id) {
    case LOGS_FOLLOW:
        logs->follow = true;
        return 0;
    case LOGS_LINES:
        logs->lines.keep = strtol(value, &end, 10);
        return end == value || *end || logs->lines.keep < 0
                   ? client_usage(logs->client, "--lines: %s: is no number of lines", value)
                   : 0;
    case LOGS_STDOUT:
    case LOGS_STDERR:
        logs->stream = id == LOGS_STDOUT ? "stdout" : "stderr";
        return 0;
    case LOGS_TIMESTAMPS:
        logs->lines.timestamps = true;
        return 0;
    case LOGS_SINCE:
        return units_parse_instant(value, now_wall(), &logs->since) < 0
                   ? client_usage(logs->client, "--since: %s: is no date, no @SECONDS and no duration", value)
                   : 0;
    default:
        return client_usage(logs->client, NULL);
    }
}

static int logs_run(struct client *client) {
    struct logs logs = {
        .client = client, .stream = "both", .lines = {.keep = -1, .emit = on_line, .gap = on_gap, .data = &logs}};
    const char *value;
    int id, count, r = 0;
    while (r == 0 && (id = client_option(client, &value)) != ARGUMENTS_END)
        r = logs_option(&logs, id, value);
    char **words = client_words(client, &count);
    if (r == 0 && count != 1)
        r = client_usage(client, "needs the ID or NAME of one job");
    return r == 0 ? logs_print(&logs, words[0]) : r;
}

const struct command command_logs = {
    "logs",       "[OPTION]... ID", "what a job printed: its stdout to stdout, its stderr to stderr",
    NULL,         logs_arguments,   false,
    EXIT_REFUSED, logs_run};
