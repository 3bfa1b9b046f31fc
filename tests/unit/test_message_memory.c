// message: a buffer that can't grow. Whichever growth fails, a message comes whole or not at all.
#include <stdio.h>

#include "common/message.h"
#include "common/util.h"
#include "tests/unit/suite.h"

enum {
    MEMBERS = 400,
    SHAPES = 64,     // shapes of the message, so that the buffer grows at a name, a value and between them
    GROWTHS_MAX = 64 // no message makes its buffer grow as often
};

static long countdown; // 0: none fails; 1: the next one does
static bool counting;  // whether a message is being written
static bool failed;    // the one that was to fail did

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size) {
    if (!counting || countdown == 0 || --countdown > 0)
        return __real_malloc(size);
    failed = true;
    return NULL;
}

// Members of many lengths, which `shape` moves along.
static json_t *message_of(int shape) {
    json_t *message = json_object();
    for (int i = 0; i < MEMBERS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "member%0*d", 1 + (shape + i) % 40, i);
        ck_assert_int_eq(json_object_set_new(message, name, json_integer(i)), 0);
    }
    return message;
}

// Writes it with the N-th growth failing.
static int write_message(struct buffer *buffer, const json_t *message, long n) {
    countdown = n;
    failed = false;
    counting = true;
    int r = message_append(buffer, message);
    counting = false;
    return r;
}

static bool is_line_of(const struct buffer *buffer, const json_t *message) {
    json_t *value = json_loadb(buffer_head(buffer), buffer_size(buffer), 0, NULL);
    bool same = value && json_equal(value, message) && buffer_head(buffer)[buffer_size(buffer) - 1] == '\n';
    json_decref(value);
    return same;
}

START_TEST(a_message_that_is_said_to_be_written_is_whole) {
    long growths = 0, wrong = 0;
    for (int shape = 0; shape < SHAPES; shape++) {
        json_t *message = message_of(shape);
        long n = 1;
        for (; n < GROWTHS_MAX; n++) {
            struct buffer buffer = {0};
            int r = write_message(&buffer, message, n);
            ck_assert(r == 0 || r == -ENOMEM);
            wrong += r == 0 && !is_line_of(&buffer, message);
            growths += failed;
            buffer_done(&buffer);
            if (!failed) {
                ck_assert_int_eq(r, 0);
                break;
            }
        }
        ck_assert_int_lt(n, GROWTHS_MAX);
        json_decref(message);
    }
    ck_assert_int_gt(growths, SHAPES);
    ck_assert_msg(wrong == 0, "%ld of %ld failed growths left a broken line and no error", wrong, growths);
}
END_TEST

// Whichever allocation fails while a line is parsed, it is taken as it is or not at all.
START_TEST(a_line_is_parsed_as_a_whole_or_not_at_all) {
    for (int length = 1; length < 600; length += length < 70 ? 1 : 37) {
        char line[2048], why[200];
        snprintf(line, sizeof(line), "{\"a\":[\"%0*d\",12345678901234],\"%0*d\":\"\\u00e4x\"}", length, 7, length, 3);
        json_t *whole = json_loads(line, 0, NULL);
        for (long n = 1; failed || n == 1; n++) {
            json_t *value = NULL;
            countdown = n;
            failed = false;
            counting = true;
            int r = message_parse(line, strlen(line), &value, why);
            counting = false;
            ck_assert_msg(r == (failed ? PROTO_INTERNAL_ERROR : 0), "%d of length %d: %d", (int)n, length, r);
            ck_assert_msg(failed || json_equal(value, whole), "%d of length %d", (int)n, length);
            json_decref(value);
        }
        json_decref(whole);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("message: memory");
    TCase *group = suite_case(suite, "memory", NULL, NULL);
    tcase_add_test(group, a_message_that_is_said_to_be_written_is_whole);
    tcase_add_test(group, a_line_is_parsed_as_a_whole_or_not_at_all);
    return suite_run(suite);
}
