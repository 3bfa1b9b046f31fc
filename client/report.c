// Telling of a job.
#include "client/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "client/outcome.h"
#include "client/print.h"
#include "common/buffer.h"
#include "common/bytes.h"
#include "common/units.h"
#include "common/util.h"

enum { LAST_LINES = 10 };

__attribute__((format(printf, 2, 3))) static void field(const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    printf("%-10s ", name);
    print_text(stdout, text ? text : "");
    putchar('\n');
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static const char *ago(double instant, char text[32]) {
    return units_duration(now_wall() - instant, text);
}

static void report_state(const json_t *job) {
    char outcome[64], time[32], since[32];
    const char *state = text_of(job, "state");
    bool started = json_is_number(json_object_get(job, "started_at"));
    units_duration(number_of(job, "elapsed"), time);
    if (streq(state, "final")) {
        print_outcome(job, outcome);
        field("state", "final: %s%s%s, %s ago", outcome, started ? " after " : "", started ? time : "",
              ago(number_of(job, "ended_at"), since));
    } else {
        field("state", "%s%s%s", state, started ? " for " : "", started ? time : "");
    }
    char detail[512];
    const char *reason = outcome_reason(job);
    outcome_detail(job, detail);
    if (reason)
        field("reason", "%s%s%s", reason, *detail ? ": " : "", detail);
}

static void report_deadlines(const json_t *job) {
    const char *name;
    json_t *left;
    char time[32];
    json_object_foreach(json_object_get(job, "deadlines"), name, left) {
        if (json_is_number(left) && !json_is_object(json_object_get(job, "result")))
            field("left", "%s of the %s", units_duration(json_number_value(left), time), name);
    }
}

static void report_instant(const json_t *job, const char *key, const char *name) {
    char when[32], since[32];
    const json_t *at = json_object_get(job, key);
    if (json_is_number(at))
        field(name, "%s (%s ago)", units_instant(json_number_value(at), when), ago(json_number_value(at), since));
}

// What was given by whoever started it: no byte of it may drive the terminal.
static void report_given(const json_t *job) {
    struct buffer line = {0};
    const char *key;
    json_t *value;
    print_append_word(&line, json_object_get(job, "cwd"));
    field("cwd", "%.*s", (int)buffer_size(&line), buffer_head(&line));
    buffer_done(&line);
    json_object_foreach(json_object_get(job, "labels"), key, value) {
        json_t *name = json_string(key);
        print_append_word(&line, name);
        buffer_append(&line, "=", 1);
        print_append_word(&line, value);
        field("label", "%.*s", (int)buffer_size(&line), buffer_head(&line));
        buffer_done(&line);
        json_decref(name);
    }
}

static void report_usage(const json_t *usage) {
    char user[32], system[32], memory[32];
    if (json_is_object(usage))
        field("used", "%s user, %s system, %s memory", units_duration(number_of(usage, "user"), user),
              units_duration(number_of(usage, "system"), system),
              units_size(json_integer_value(json_object_get(usage, "max_rss_bytes")), memory));
}

static void report_stream(const json_t *job, const char *name) {
    const json_t *stream = json_object_get(job, name), *gap;
    size_t i;
    char size[32], kept[32];
    int64_t bytes = json_integer_value(json_object_get(stream, "bytes")), dropped = 0;
    json_array_foreach(json_object_get(stream, "gaps"), i, gap)
        dropped += json_integer_value(json_array_get(gap, 1)) - json_integer_value(json_array_get(gap, 0));
    if (dropped > 0)
        field(name, "%s bytes, of which %s are kept", units_size(bytes, size), units_size(bytes - dropped, kept));
    else if (bytes > 0)
        field(name, "%s bytes", units_size(bytes, size));
}

static void report_rest(const json_t *result) {
    const json_t *survivors = json_object_get(result, "survivors"), *pid;
    size_t i;
    if (json_is_null(survivors))
        field("survivors", "not known");
    json_array_foreach(survivors, i, pid)
        field("survivor", "process %lld", (long long)json_integer_value(pid));
    if (json_is_true(json_object_get(result, "incomplete")))
        field("output", "incomplete: a process that was kept still held a stream");
}

// Where the last lines begin. An end without a newline is a line too.
static size_t last_lines(const char *bytes, size_t size) {
    size_t at = size;
    for (int lines = 0; at > 0; at--)
        if (bytes[at - 1] == '\n' && at < size && ++lines == LAST_LINES)
            break;
    return at;
}

static bool report_last(const json_t *job, const char *name) {
    const json_t *stream = json_object_get(job, name);
    size_t size = 0;
    _cleanup_free_ char *bytes = bytes_from_json(stream, &size);
    if (!bytes || size == 0)
        return false;
    struct buffer lines = {0};
    size_t kept = 0;
    for (size_t i = last_lines(bytes, size); i < size; i++)
        if (bytes[i] != '\r')
            bytes[kept++] = bytes[i];
    print_append_text(&lines, bytes, kept, "\n\t");
    printf("\nthe last of its %s:\n%.*s%s", name, (int)buffer_size(&lines), buffer_head(&lines),
           kept > 0 && bytes[kept - 1] == '\n' ? "" : "\n");
    buffer_done(&lines);
    return true;
}

static bool report_failed(const json_t *job) {
    const char *reason = outcome_reason(job);
    const json_t *code = json_object_get(json_object_get(job, "result"), "exit_code");
    return reason && !(streq(reason, "exited") && json_integer_value(code) == 0);
}

void report_print(const json_t *job) {
    const json_t *result = json_object_get(job, "result");
    const char *name = text_of(job, "name");
    struct buffer command = {0};
    print_append_command(&command, job);
    field("job", "%lld%s%s", (long long)json_integer_value(json_object_get(job, "id")), *name ? ": " : "", name);
    field("command", "%s", buffer_head(&command));
    buffer_done(&command);
    report_state(job);
    report_deadlines(job);
    if (json_is_null(result) && json_is_integer(json_object_get(job, "pid")))
        field("pid", "%lld", (long long)json_integer_value(json_object_get(job, "pid")));
    const json_t *owner = json_object_get(job, "owner");
    field("owner", "%s (uid %lld)", text_of(owner, "user"),
          (long long)json_integer_value(json_object_get(owner, "uid")));
    report_given(job);
    report_instant(job, "created_at", "created");
    report_instant(job, "started_at", "started");
    report_instant(job, "ended_at", "ended");
    report_usage(json_object_get(result, "usage"));
    report_stream(job, "stdout");
    report_stream(job, "stderr");
    report_rest(result);
    if (report_failed(job) && !report_last(job, "stderr"))
        report_last(job, "stdout");
}
