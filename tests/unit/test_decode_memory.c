// decode: running out of memory. Each allocation in turn fails, until none does: no crash, no leak, and -ENOMEM or all.
#include <stdio.h>

#include "common/util.h"
#include "daemon/control/decode.h"
#include "tests/unit/failing.h"
#include "tests/unit/suite.h"

enum { SWEEP_MAX = 10000 }; // no decoding allocates as often

static json_t *params;  // of the decoding, made before it
static char *canonical; // what comes of them where memory is not out; NULL: nothing

static void setup(void) {
    json_object_seed(1); // not in a decoding
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

static void teardown(void) {
    json_decref(params);
    free(canonical);
}

// Decodes once with the N-th allocation failing (0: none). Returns what decode_spec said; whether the canonical form is
// the one of a decoding that had memory is told by `ret_same`.
static int decode(long n, bool *ret_same) {
    struct refusal refusal = {0};
    struct spec spec;
    failing_begin(n);
    int r = decode_spec(params, false, &refusal, &spec);
    *ret_same = spec.canonical && canonical ? streq(spec.canonical, canonical) : spec.canonical == canonical;
    if (n == 0 && spec.canonical) {
        failing_end();
        canonical = strdup(spec.canonical);
        failing.counting = true;
    }
    spec_done(&spec);
    failing_end();
    return r;
}

// Of the failures that decode_spec does not own up to, none may be in what it returned as whole.
static void sweep(const char *text) {
    bool same;
    long silent = 0, first = 0, n;
    params = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(params);
    ck_assert_int_eq(decode(0, &same), 0);
    for (n = 1; n < SWEEP_MAX; n++) {
        int r = decode(n, &same);
        ck_assert_msg(failing.outstanding == 0, "allocation %ld failed: %ld are left", n, failing.outstanding);
        if (!failing.failed) {
            ck_assert_msg(r == 0 && same, "without a failure it says %d", r);
            break;
        }
        ck_assert_msg(r == 0 || r == -ENOMEM, "allocation %ld failed: it says %d", n, r);
        if (r == 0 && !same && silent++ == 0)
            first = n;
    }
    ck_assert_int_gt(n, 1);
    ck_assert_int_lt(n, SWEEP_MAX);
    ck_assert_msg(silent == 0, "%ld of %ld failures, of allocation %ld first, give another canonical form and no error",
                  silent, n - 1, first);
}

START_TEST(a_spec_without_a_key) {
    sweep("{\"argv\":[\"a\",{\"data\":\"/w==\",\"encoding\":\"base64\"}],\"name\":\"x\",\"cwd\":\"/\","
          "\"labels\":{\"a\":\"1\",\"b\":\"2\"},\"env\":{\"A\":\"1\",\"B\":null},\"stdin\":{\"data\":\"in\"},"
          "\"stdout\":{\"file\":\"/o\"},\"stderr\":{\"file\":\"/e\",\"append\":true}}");
}
END_TEST

START_TEST(a_key_is_compared_by_values) {
    sweep("{\"argv\":[\"a\"],\"key\":\"k\"}");
}
END_TEST

START_TEST(a_key_is_compared_by_members) {
    sweep("{\"argv\":[\"a\"],\"key\":\"k\",\"env\":{\"A\":\"1\",\"B\":\"2\"},\"labels\":{\"a\":\"1\"}}");
}
END_TEST

START_TEST(a_key_is_compared_by_numbers) {
    sweep("{\"argv\":[\"a\"],\"key\":\"k\",\"timeout\":5.0,\"output\":{\"head_bytes\":7.0}}");
}
END_TEST

START_TEST(a_key_is_compared_without_defaults) {
    sweep("{\"argv\":[\"a\"],\"key\":\"k\",\"grace\":5.0,\"umask\":\"022\",\"descendants\":\"kill\"}");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("decode: memory");
    TCase *group = suite_case(suite, "memory", setup, teardown);
    tcase_add_test(group, a_spec_without_a_key);
    tcase_add_test(group, a_key_is_compared_by_values);
    tcase_add_test(group, a_key_is_compared_by_members);
    tcase_add_test(group, a_key_is_compared_by_numbers);
    tcase_add_test(group, a_key_is_compared_without_defaults);
    return suite_run(suite);
}
