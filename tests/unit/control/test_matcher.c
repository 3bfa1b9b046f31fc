// matcher: a text is found wherever the pieces are cut, and never where it is not.
#include "daemon/control/matcher.h"

#include "common/util.h"
#include "tests/unit/control/sample.h"
#include "tests/unit/suite.h"

#define OUT (1u << STREAM_OUT)
#define ERR (1u << STREAM_ERR)

static struct matcher *made(unsigned mask, const char *text) {
    struct matcher *m = matcher_new(mask, text, strlen(text));
    ck_assert_ptr_nonnull(m);
    return m;
}

// An exact copy without a NUL behind it, so that a sanitizer sees a read too far.
static bool feed(struct matcher *m, int stream, int64_t offset, const char *text, size_t size) {
    _cleanup_free_ char *copy = malloc(MAX(size, (size_t)1));
    memcpy(copy, text, size);
    return matcher_feed(m, stream, offset, copy, size);
}

// Where it is found, and not before: fed in pieces of `step` bytes.
static void expect_found_at(const char *needle, const char *text, size_t step) {
    struct matcher *m = made(OUT, needle);
    const char *where = strstr(text, needle);
    size_t size = strlen(text), end = where ? (size_t)(where - text) + strlen(needle) : SIZE_MAX;
    for (size_t at = 0; at < size; at += step) {
        size_t n = MIN(step, size - at);
        bool found = feed(m, STREAM_OUT, (int64_t)at, text + at, n);
        ck_assert_msg(found == (at + n >= end), "%s in %s by %zu: at %zu", needle, text, step, at);
        if (found)
            break;
    }
    matcher_free(m);
}

START_TEST(found_across_pieces_of_any_size) {
    static const char *const needles[] = {"x", "ready", "aab", "aaab", "abab", "listening on port 80", "\n\n"};
    static const char *const texts[] = {"not yet\nready\n",
                                        "aaaaaaab",
                                        "abaabab",
                                        "rea dy rready",
                                        "x",
                                        "listening on port 8\nlistening on port 80\n\n",
                                        "aa",
                                        "ababaabaaab"};
    for (size_t n = 0; n < ARRAY_SIZE(needles); n++)
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
            for (size_t step = 1; step <= strlen(texts[t]); step++)
                expect_found_at(needles[n], texts[t], step);
}
END_TEST

START_TEST(pieces_of_uneven_size) {
    struct matcher *m = made(OUT, "abcdef");
    ck_assert(!feed(m, STREAM_OUT, 0, "xxxxxxxxxxabc", 13));
    ck_assert(!feed(m, STREAM_OUT, 13, "d", 1));
    ck_assert(!feed(m, STREAM_OUT, 14, "", 0));
    ck_assert(feed(m, STREAM_OUT, 14, "efxxxxxxxxxxx", 13));
    matcher_free(m);
}
END_TEST

START_TEST(streams_are_not_mixed) {
    struct matcher *m = made(OUT | ERR, "ready");
    ck_assert(!feed(m, STREAM_OUT, 0, "rea", 3));
    ck_assert(!feed(m, STREAM_ERR, 3, "dy", 2));
    ck_assert(!feed(m, STREAM_ERR, 5, "rea", 3));
    ck_assert(feed(m, STREAM_ERR, 8, "dy", 2));
    ck_assert(feed(m, STREAM_OUT, 3, "dy", 2));
    matcher_free(m);
}
END_TEST

START_TEST(only_the_streams_asked_for) {
    struct matcher *m = made(ERR, "ready");
    ck_assert(!feed(m, STREAM_OUT, 0, "ready", 5));
    ck_assert(feed(m, STREAM_ERR, 0, "ready", 5));
    matcher_free(m);
}
END_TEST

START_TEST(a_gap_breaks_a_match_begun) {
    struct matcher *m = made(OUT, "ready");
    ck_assert(!feed(m, STREAM_OUT, 0, "rea", 3));
    ck_assert(!feed(m, STREAM_OUT, 100, "dy", 2));
    ck_assert(!feed(m, STREAM_OUT, 102, "rea", 3));
    ck_assert(feed(m, STREAM_OUT, 105, "dy", 2));
    matcher_free(m);
}
END_TEST

START_TEST(a_text_may_hold_nul) {
    struct matcher *m = matcher_new(OUT, "a\0b", 3);
    ck_assert(!feed(m, STREAM_OUT, 0, "a\0c", 3));
    ck_assert(!feed(m, STREAM_OUT, 3, "a", 1));
    ck_assert(feed(m, STREAM_OUT, 4, "\0b", 2));
    matcher_free(m);
}
END_TEST

// In steps of a few bytes; the same as in one.
static bool scan(struct matcher *m, const struct job *job) {
    bool more = true, found = false;
    for (int steps = 0; more && !found; steps++) {
        ck_assert_int_lt(steps, 100);
        found = matcher_scan(m, job, 3, &more);
    }
    return found;
}

START_TEST(what_comes_while_it_is_scanned_is_another_matchers) {
    struct sample sample;
    bool more;
    sample_open(&sample);
    struct job *job = sample_job(&sample, 1000, NULL, 64, 64);
    struct matcher *past = made(OUT, "ready"), *live = made(OUT, "ready");
    sample_write(job, STREAM_OUT, "0123456789 rea", 14);
    ck_assert(!matcher_scan(past, job, 5, &more) && more);
    matcher_join(live, job);
    sample_write(job, STREAM_OUT, "dy ready", 8);
    ck_assert(feed(live, STREAM_OUT, 14, "dy ready", 8)); // begun before
    ck_assert(!scan(past, job));                          // what came later is not its
    ck_assert(!matcher_scan(past, job, 5, &more) && !more);
    matcher_free(past);
    matcher_free(live);
    live = made(OUT, "ready");
    matcher_join(live, job);
    ck_assert(!feed(live, STREAM_OUT, 22, " not", 4)); // what was whole before is no match of this one
    matcher_free(live);
    sample_close(&sample);
}
END_TEST

START_TEST(what_is_stored_is_scanned_and_gone_on_from) {
    struct sample sample;
    sample_open(&sample);
    struct job *job = sample_job(&sample, 1000, NULL, 8, 8);
    struct matcher *m = made(OUT | ERR, "ready");
    sample_write(job, STREAM_ERR, "nothing", 7);
    sample_write(job, STREAM_OUT, "0123456789 rea", 14);
    ck_assert(!scan(m, job));
    ck_assert(feed(m, STREAM_OUT, 14, "dy", 2));
    matcher_free(m);
    m = made(OUT, "ready");
    sample_write(job, STREAM_OUT, "dy", 2);
    ck_assert(scan(m, job)); // over the seam of the ring
    matcher_free(m);
    m = made(OUT, "67"); // stands, though both sides of a gap might look like it
    sample_write(job, STREAM_OUT, "........................", 24);
    ck_assert(scan(m, job));
    matcher_free(m);
    m = made(OUT, "7.");
    ck_assert(!scan(m, job)); // byte 7 and the tail are no neighbours
    matcher_free(m);
    sample_close(&sample);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("control/matcher");
    TCase *group = suite_case(suite, "matcher", NULL, NULL);
    tcase_add_test(group, found_across_pieces_of_any_size);
    tcase_add_test(group, pieces_of_uneven_size);
    tcase_add_test(group, streams_are_not_mixed);
    tcase_add_test(group, only_the_streams_asked_for);
    tcase_add_test(group, a_gap_breaks_a_match_begun);
    tcase_add_test(group, a_text_may_hold_nul);
    tcase_add_test(group, what_comes_while_it_is_scanned_is_another_matchers);
    tcase_add_test(group, what_is_stored_is_scanned_and_gone_on_from);
    return suite_run(suite);
}
