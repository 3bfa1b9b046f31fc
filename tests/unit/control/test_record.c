// record: a job as JSON has exactly the fields of the protocol's table, in its order, with the values meant.
#include "daemon/control/record.h"

#include <signal.h>

#include "common/schema.h"
#include "common/util.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/suite.h"

static struct sample sample;
static struct job *job;
static json_t *record;

static void setup(void) {
    sample_open(&sample);
    job = sample_job(&sample, 1000, "name", 8, 8);
}

static void teardown(void) {
    json_decref(record);
    sample_close(&sample);
}

// Every field of the list that is not optional, no other, in the list's order.
static void expect_fields(const struct proto_field *fields, json_t *object) {
    const char *key;
    json_t *value;
    const struct proto_field *f = fields;
    json_object_foreach(object, key, value) {
        while (f->name && !streq(f->name, key)) {
            ck_assert_msg(f->flags & PF_OPTIONAL, "%s is not there, or not in its place", f->name);
            f++;
        }
        ck_assert_msg(f->name != NULL, "%s is not in the table, or not in its place", key);
        if (f->type->kind == PK_OBJECT && !json_is_null(value))
            expect_fields(f->type->fields, value);
        f++;
    }
    for (; f->name; f++)
        ck_assert_msg(f->flags & PF_OPTIONAL, "%s is not there", f->name);
}

static void encode(int64_t inline_bytes, double now) {
    struct schema_error error;
    json_decref(record);
    record = record_job(&sample.control, job, inline_bytes, now);
    ck_assert_ptr_nonnull(record);
    int r = schema_check_result(&proto_job_type, record, &error);
    ck_assert_msg(r == 0, "%s: %s", error.field, error.why);
    expect_fields(proto_job_type.fields, record);
}

// The value at a path such as "result.usage", as JSON text.
static void expect(const char *path, const char *text) {
    json_t *value = record;
    char key[64];
    for (const char *at = path; *at; at += at[strlen(key)] == '.' ? strlen(key) + 1 : strlen(key)) {
        memcpy(key, at, strcspn(at, "."));
        key[strcspn(at, ".")] = 0;
        value = json_object_get(value, key);
    }
    _cleanup_free_ char *got = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_msg(got && streq(got, text), "%s: %s, not %s", path, got, text);
}

START_TEST(a_running_job) {
    encode(0, 101.25);
    expect("id", "1");
    expect("name", "\"name\"");
    expect("labels", "{}");
    expect("owner", "{\"uid\":1000,\"user\":\"build\"}");
    expect("argv", "[\"true\"]");
    expect("cwd", "\"/\"");
    expect("group", "\"default\"");
    expect("state", "\"running\"");
    expect("pid", "4711");
    expect("attempt", "1");
    expect("ready", "false");
    expect("created_at", "99.5");
    expect("started_at", "100.0");
    expect("ended_at", "null");
    expect("elapsed", "1.25");
    expect("result", "null");
    expect("deadlines", "{\"timeout\":null,\"idle_timeout\":null,\"cpu_timeout\":null,\"queue_timeout\":null}");
    expect("stdout", "{\"bytes\":0,\"gaps\":[],\"eof\":false}");
}
END_TEST

// Whatever is in them: an empty string is one, too, and a control character is six as JSON.
START_TEST(weights_are_of_elements_and_of_their_text) {
    static char words[][8] = {"", "abc", "a\x01\n", "\xc3\xa4"}, name[] = "n";
    static const size_t more[] = {48, 48 + 3, 48 + 13, 48 + 2};
    size_t before = record_weight(job, SIZE_MAX);
    char *argv[] = {words[1], words[1], words[_i]};
    struct spec_pair label = {.name = name, .value = words[_i]};
    const struct spec spec = job->spec;
    job->spec.argv = argv;
    job->spec.argc = 2;
    ck_assert_uint_eq(record_weight(job, SIZE_MAX), before + more[1] - 1); // "true" is one longer
    job->spec.argc = 3;
    ck_assert_uint_eq(record_weight(job, SIZE_MAX), before + more[1] - 1 + more[_i]);
    job->spec.labels = &label;
    job->spec.label_count = 1;
    ck_assert_uint_eq(record_weight(job, SIZE_MAX), before + more[1] - 1 + 2 * more[_i] + 49);
    ck_assert_uint_eq(record_weight(job, 100), 48 + 1 + more[1]); // as far as that is
    job->spec = spec;
}
END_TEST

START_TEST(a_starting_job_has_no_pid_yet) {
    job->pid = job->attempt = 0;
    job->started_at = job->started_mono = 0;
    lifecycle_init(&job->life, &job->spec, 1);
    encode(0, 101);
    expect("state", "\"starting\"");
    expect("pid", "null");
    expect("started_at", "null");
    expect("elapsed", "null");
}
END_TEST

START_TEST(a_stopping_job) {
    lifecycle_stop(&job->life, 101, (struct cause){REASON_KILLED, KILLER_CLIENT, 0}, SIGTERM, 5);
    encode(0, 101);
    expect("state", "\"stopping\"");
    expect("result", "null");
}
END_TEST

START_TEST(deadlines_are_what_is_left) {
    job->spec.timeout = 30;
    job->spec.idle_timeout = 10;
    job->spec.cpu_timeout = 2;
    lifecycle_init(&job->life, &job->spec, 1);
    lifecycle_started(&job->life, 100);
    lifecycle_output(&job->life, 104);
    encode(0, 105);
    expect("deadlines", "{\"timeout\":25.0,\"idle_timeout\":9.0,\"cpu_timeout\":2.0,\"queue_timeout\":null}");
}
END_TEST

START_TEST(an_exit) {
    sample_end(&sample, job, REASON_EXITED);
    job->outcome.end.exit_code = 3;
    encode(0, 200);
    expect("state", "\"final\"");
    expect("ended_at", "103.5");
    expect("elapsed", "3.5");
    expect("result.reason", "\"exited\"");
    expect("result.exit_code", "3");
    expect("result.signal", "null");
    expect("result.timed_out", "false");
    expect("result.error", "null");
    expect("result.killed_by", "null");
    expect("result.survivors", "[]");
    expect("result.incomplete", "false");
    expect("result.usage", "{\"user\":0.25,\"system\":0.0,\"read_bytes\":0,\"written_bytes\":0,\"memory_peak_bytes\":"
                           "null,\"max_rss_bytes\":4096,\"minor_faults\":0,\"major_faults\":0,"
                           "\"voluntary_switches\":0,\"involuntary_switches\":0,\"source\":\"wait4\"}");
}
END_TEST

START_TEST(every_reason_of_the_core_is_the_protocols) {
    static const enum reason timeouts = REASON_TIMEOUT;
    sample_end(&sample, job, (enum reason)_i);
    job->outcome.stage = _i == REASON_SPAWN_FAILED ? STAGE_EXEC : STAGE_NONE;
    job->outcome.error = ENOENT;
    encode(0, 200);
    expect("result.timed_out", _i >= (int)timeouts && _i <= REASON_QUEUE_TIMEOUT ? "true" : "false");
    ck_assert_pstr_eq(json_string_value(json_object_get(json_object_get(record, "result"), "reason")),
                      proto_reasons[_i]);
}
END_TEST

START_TEST(a_signal_and_who_sent_it) {
    sample_end(&sample, job, REASON_KILLED);
    job->outcome.end.exit_code = -1;
    job->outcome.end.signal = SIGKILL;
    job->outcome.end.core_dumped = true;
    job->outcome.incomplete = true;
    job->outcome.cause = (struct cause){REASON_KILLED, KILLER_CLIENT, 1000};
    job->outcome.survivors = malloc(2 * sizeof(pid_t));
    job->outcome.survivors[0] = 7;
    job->outcome.survivors[1] = 8;
    job->outcome.survivor_count = 2;
    encode(0, 200);
    expect("result.exit_code", "null");
    expect("result.signal", "\"SIGKILL\"");
    expect("result.core_dumped", "true");
    expect("result.incomplete", "true");
    expect("result.survivors", "[7,8]");
    expect("result.killed_by", "{\"by\":\"client\",\"uid\":1000}");
    job->outcome.cause = (struct cause){REASON_KILLED, KILLER_DAEMON, -1};
    job->outcome.end.signal = SIGRTMIN + 1;
    encode(0, 200);
    expect("result.killed_by", "{\"by\":\"daemon\",\"uid\":null}");
    ck_assert_int_eq(proto_signal_number(json_string_value(json_object_get(json_object_get(record, "result"),
                                                                           "signal"))),
                     SIGRTMIN + 1);
}
END_TEST

START_TEST(a_program_that_cannot_be_executed) {
    sample_end(&sample, job, REASON_SPAWN_FAILED);
    job->pid = 0;
    job->started_at = job->started_mono = 0;
    job->outcome.end = (struct leader_exit){.known = false};
    job->outcome.stage = STAGE_EXEC;
    job->outcome.error = ENOENT;
    encode(0, 200);
    expect("pid", "null");
    expect("started_at", "null");
    expect("result.exit_code", "null");
    expect("result.usage", "null");
    expect("result.error", "{\"stage\":\"exec\",\"errno\":\"ENOENT\",\"message\":\"true: No such file or directory\"}");
}
END_TEST

START_TEST(every_stage_has_a_name) {
    sample_end(&sample, job, REASON_SPAWN_FAILED);
    job->outcome.stage = (enum launch_stage)_i;
    job->outcome.error = 4095; // no errno of this system
    encode(0, 200);
    expect("result.error.errno", "\"E4095\"");
}
END_TEST

// Where what held the tree was killed, the protocol's record must still be one of the table's.
START_TEST(survivors_that_nobody_can_know) {
    sample_end(&sample, job, REASON_KILLED);
    job->outcome.survivors_unknown = true;
    encode(0, 200);
}
END_TEST

START_TEST(what_is_no_utf8_comes_as_bytes) {
    job->spec.argv[0] = (char *)(uintptr_t) "\xff";
    free(job->spec.cwd);
    job->spec.cwd = strdup("/\xff");
    sample_end(&sample, job, REASON_SPAWN_FAILED);
    job->outcome.stage = STAGE_CWD;
    job->outcome.error = ENOENT;
    encode(0, 200);
    expect("argv", "[{\"data\":\"/w==\",\"encoding\":\"base64\"}]");
    expect("cwd", "{\"data\":\"L/8=\",\"encoding\":\"base64\"}");
    expect("result.error.errno", "\"ENOENT\"");
}
END_TEST

START_TEST(owners_are_named_where_known) {
    job = sample_job(&sample, 0, NULL, 8, 8);
    encode(0, 101);
    expect("owner", "{\"uid\":0,\"user\":\"root\"}");
    expect("name", "null");
    job = sample_job(&sample, 77, NULL, 8, 8);
    encode(0, 101);
    expect("owner", "{\"uid\":77,\"user\":null}");
}
END_TEST

START_TEST(output_comes_whole_where_it_fits) {
    sample_write(job, STREAM_OUT, "hello", 5);
    sample_write(job, STREAM_ERR, "\xff", 1);
    encode(5, 101);
    expect("stdout", "{\"bytes\":5,\"gaps\":[],\"eof\":false,\"data\":\"hello\",\"encoding\":\"utf-8\"}");
    expect("stderr", "{\"bytes\":1,\"gaps\":[],\"eof\":false,\"data\":\"/w==\",\"encoding\":\"base64\"}");
    sample_close_streams(job);
    encode(0, 101);
    expect("stdout", "{\"bytes\":5,\"gaps\":[],\"eof\":true}");
}
END_TEST

START_TEST(output_beyond_the_budget_is_head_and_tail) {
    sample_write(job, STREAM_OUT, "0123456789", 10);
    encode(4, 101);
    expect("stdout.data", "\"0189\"");
    expect("stdout.cut", "[2,8]");
    sample_write(job, STREAM_OUT, "0123456789", 10);
    encode(100, 101);
    expect("stdout.gaps", "[[8,12]]");
    expect("stdout.data", "\"0123456723456789\"");
    expect("stdout.cut", "[8,12]");
}
END_TEST

START_TEST(head_and_tail_are_cut_between_characters) {
    sample_write(job, STREAM_OUT,
                 "a\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
                 "b",
                 11);
    encode(6, 101); // three bytes each: amid a euro sign on both sides
    expect("stdout.encoding", "\"utf-8\"");
    expect("stdout.data", "\"ab\"");
    expect("stdout.cut", "[1,10]");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/record");
    TCase *group = suite_case(suite, "record", setup, teardown);
    tcase_add_test(group, a_running_job);
    tcase_add_loop_test(group, weights_are_of_elements_and_of_their_text, 0, 4);
    tcase_add_test(group, a_starting_job_has_no_pid_yet);
    tcase_add_test(group, a_stopping_job);
    tcase_add_test(group, deadlines_are_what_is_left);
    tcase_add_test(group, an_exit);
    tcase_add_loop_test(group, every_reason_of_the_core_is_the_protocols, 0, REASON_COUNT);
    tcase_add_test(group, a_signal_and_who_sent_it);
    tcase_add_test(group, a_program_that_cannot_be_executed);
    tcase_add_loop_test(group, every_stage_has_a_name, STAGE_NONE, STAGE_EXEC + 1);
    tcase_add_test(group, survivors_that_nobody_can_know);
    tcase_add_test(group, what_is_no_utf8_comes_as_bytes);
    tcase_add_test(group, owners_are_named_where_known);
    tcase_add_test(group, output_comes_whole_where_it_fits);
    tcase_add_test(group, output_beyond_the_budget_is_head_and_tail);
    tcase_add_test(group, head_and_tail_are_cut_between_characters);
    return suite_run(suite);
}
