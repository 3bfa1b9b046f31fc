// Tests of running out of memory: each allocation in turn fails, until none does. No crash, no leak, a clean error.
#include <stdint.h>
#include <sys/socket.h>

#include "common/heap.h"
#include "common/message.h"
#include "common/openrpc.h"
#include "common/schema.h"
#include "common/stream.h"
#include "common/util.h"
#include "tests/unit/failing.h"
#include "tests/unit/suite.h"

enum {
    SWEEP_MAX = 100000, // no step allocates as often
    EACH = 1000,        // beyond these only the first of each place fails
};

static bool harmless; // a failure may leave no trace where the result is right all the same

// Does the step with one of its allocations failing, or with none for 0. Returns whether it worked.
static bool attempt(bool (*step)(void), long n) {
    failing_begin(n);
    bool worked = step();
    failing_end();
    ck_assert_msg(failing.outstanding == 0, "allocation %ld failed: %ld are left", n, failing.outstanding);
    ck_assert_int_eq(failing.failed, n > 0);
    return worked;
}

// Whether an allocation before the N-th came from the same place.
static bool seen(const uint64_t *places, long n) {
    for (long i = 1; i < n; i++) {
        if (places[i - 1] == places[n - 1])
            return true;
    }
    return false;
}

// Does the step with its first allocation failing, then with its second, with each. One that allocates thousands of times
// does so in a loop: all of them would take a minute under a sanitizer, and show no more than one of each call path.
// A step says whether it worked; it asserts nothing, and everything it gets it gives back.
static void sweep(bool (*step)(void)) {
    _cleanup_free_ uint64_t *places = calloc(SWEEP_MAX, sizeof(*places));
    ck_assert_ptr_nonnull(places);
    failing_watch(places, SWEEP_MAX);
    ck_assert_msg(attempt(step, 0), "without a failure it did not work");
    failing_watch(NULL, 0);
    long count = failing.count, silent = 0, first = 0; // failures that nobody spoke of
    ck_assert_msg(count > 0 && count < SWEEP_MAX, "allocates %ld times", count);
    for (long n = 1; n <= count; n++) {
        if (n > EACH && seen(places, n))
            continue;
        if (attempt(step, n) && !harmless && silent++ == 0)
            first = n;
    }
    ck_assert_msg(silent == 0, "%ld failures, of allocation %ld first, show nowhere", silent, first);
}

static void setup(void) {
    json_object_seed(1); // not in a step
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

static bool parse(const char *line) {
    json_t *value = NULL;
    char why[200];
    int code = message_parse(line, strlen(line), &value, why);
    bool clean = (code == 0) == (value != NULL);
    json_decref(value);
    return code == 0 || !clean;
}

static bool parse_step(void) {
    return parse(
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"job.run\",\"params\":{\"argv\":[\"a\",\"b\",1,2.5,null],"
        "\"env\":{\"A\":\"1\",\"B\":\"2\",\"C\":\"3\",\"D\":\"4\",\"E\":\"5\",\"F\":\"6\",\"G\":\"7\",\"H\":\"8\","
        "\"I\":\"9\"}}}");
}

// Its tokens are short: a long one that jansson can't hold for want of memory it cuts and says nothing.
static bool parse_large_step(void) {
    return parse("{\"a\":[1e400,-1e500],\"b\":1}");
}

START_TEST(parsing_a_line) {
    sweep(parse_step);
    sweep(parse_large_step);
}
END_TEST

// Writes the message, which it takes over, as a line.
static bool append(json_t *message) {
    struct buffer buffer = {0};
    bool worked = message && message_append(&buffer, message) == 0;
    worked = worked && buffer_size(&buffer) > 0 && buffer_head(&buffer)[buffer_size(&buffer) - 1] == '\n';
    buffer_done(&buffer);
    json_decref(message);
    return worked;
}

static bool result_step(void) {
    json_t *id = json_integer(7);
    bool worked = id && append(message_result(id, json_pack("{s:[s,i],s:f}", "a", "x\n\xc3\xa4", 1, "b", 0.1)));
    json_decref(id);
    return worked;
}

static bool notification_step(void) {
    return append(message_notification("job.output", json_pack("{s:b}", "eof", 1)));
}

static bool error_step(void) {
    json_t *message = message_error(NULL, PROTO_NOT_FOUND, "there is none", NULL);
    const char *says = json_string_value(json_object_get(json_object_get(message, "error"), "message"));
    bool whole = says && strcmp(says, "there is none") == 0; // else it fell back to what the code means
    return append(message) && whole;
}

static bool long_step(void) {
    char text[5000];
    memset(text, 'x', sizeof(text));
    return append(json_stringn(text, sizeof(text)));
}

START_TEST(writing_results) {
    sweep(result_step);
    sweep(long_step);
}
END_TEST

START_TEST(writing_notifications) {
    sweep(notification_step);
}
END_TEST

START_TEST(writing_errors) {
    sweep(error_step);
}
END_TEST

static json_t *params; // of before the step

static bool schema_step(void) {
    struct schema_error error;
    return schema_check_params(proto_method_find("job.run"), params, &error) == 0;
}

START_TEST(checking_params) {
    params = json_loads("{\"argv\":[\"a\",{\"data\":\"YQ==\",\"encoding\":\"base64\"}],\"cwd\":\"/tmp\","
                        "\"stdin\":{\"data\":\"YQ==\",\"encoding\":\"base64\"},\"env\":{\"A\":\"b\"}}",
                        0, NULL);
    sweep(schema_step);
    json_decref(params);
}
END_TEST

static json_t *whole; // the document of before the step

static bool openrpc_step(void) {
    json_t *document = openrpc_document("1.0");
    bool worked = document && json_equal(document, whole);
    json_decref(document);
    return worked;
}

START_TEST(making_the_document) {
    whole = openrpc_document("1.0");
    harmless = true; // the step compares
    sweep(openrpc_step);
    json_decref(whole);
}
END_TEST

static struct ev_loop *loop;
static int lines, overlong;

static void told_line(struct stream *stream, const char *line, size_t size, void *data) {
    lines++;
}

static void told_overlong(struct stream *stream, void *data) {
    overlong++;
}

static void told_other(struct stream *stream, void *data) {
}

static const struct stream_listener listener = {told_line, told_overlong, told_other, told_other};
static const struct stream_limits limits = {.line_max = 10000, .queue_max = 10000, .low_mark = 100};

static bool stream_talk(struct stream *stream, int peer) {
    char line[3000];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    bool said = buffer_append(stream_out(stream), line, sizeof(line)) == 0;
    stream_send(stream);
    if (write(peer, line, sizeof(line)) != sizeof(line) || write(peer, "a\nlast", 6) != 6)
        return false;
    shutdown(peer, SHUT_WR);
    for (int i = 0; i < 10; i++)
        ev_run(loop, EVRUN_NOWAIT);
    return said && recv(peer, line, sizeof(line), MSG_DONTWAIT) == sizeof(line);
}

static bool stream_step(void) {
    struct stream_host *host = NULL;
    struct stream *stream = NULL;
    int pair[2];
    lines = overlong = 0;
    if (stream_host_new(loop, &host) < 0)
        return host != NULL;
    bool worked = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0;
    worked = worked && stream_new(host, pair[0], &listener, &limits, NULL, &stream) == 0;
    worked = worked && stream_talk(stream, pair[1]) && lines == 3 && overlong == 0;
    stream_free(stream);
    stream_host_free(host);
    close(pair[1]);
    return worked;
}

START_TEST(talking_over_a_stream) {
    loop = ev_loop_new(EVFLAG_AUTO);
    ev_run(loop, EVRUN_NOWAIT);
    int first = dup(STDIN_FILENO);
    close(first);
    sweep(stream_step);
    int last = dup(STDIN_FILENO);
    close(last);
    ck_assert_int_eq(last, first); // no descriptor is left open either
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(what_is_in_reserve) {
    free(heap_realloc(NULL, 16));
    for (int i = 0; i < 3; i++) { // it is put back, each time
        failing_begin(1);
        void *memory = heap_realloc(NULL, 1000);
        failing_end();
        ck_assert(failing.failed);
        ck_assert_ptr_nonnull(memory);
        ck_assert_ptr_null(heap_realloc(memory, 0));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("alloc");
    TCase *all = suite_case(suite, "alloc", setup, NULL);
    tcase_add_test(all, parsing_a_line);
    tcase_add_test(all, writing_results);
    tcase_add_test(all, writing_notifications);
    tcase_add_test(all, writing_errors);
    tcase_add_test(all, checking_params);
    tcase_add_test(all, making_the_document);
    tcase_add_test(all, talking_over_a_stream);
    tcase_add_test(all, what_is_in_reserve);
    return suite_run(suite);
}
