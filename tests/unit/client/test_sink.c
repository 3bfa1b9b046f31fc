// sink: writes that never block, into pipes and files.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "client/sink.h"
#include "common/util.h"
#include "tests/unit/suite.h"

enum { FLOOD = 1 << 20 };

static struct ev_loop *loop;
static struct sink sink;
static int ends[2], changes;
static char bytes[FLOOD], got[FLOOD];

static void on_change(struct sink *changed) {
    changes++;
}

static void setup(void) {
    loop = ev_loop_new(EVFLAG_NOENV);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < FLOOD; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    changes = 0;
}

static void teardown(void) {
    sink_done(&sink);
    fd_close(ends[0]);
    fd_close(ends[1]);
    ev_loop_destroy(loop);
}

START_TEST(more_than_a_pipe_holds_waits_and_arrives_whole) {
    sink_init(&sink, loop, ends[1], on_change, NULL);
    sink_write(&sink, bytes, FLOOD); // nobody reads: a blocking write would hang here
    ck_assert(!sink_is_empty(&sink));
    size_t size = 0;
    while (size < FLOOD) {
        ssize_t n = read(ends[0], got + size, FLOOD - size);
        ck_assert_int_gt(n, 0);
        size += (size_t)n;
        ev_run(loop, EVRUN_NOWAIT);
    }
    ck_assert_mem_eq(got, bytes, FLOOD);
    ck_assert(sink_is_empty(&sink));
    ck_assert_int_eq(changes, 1);
    // The descriptor's own flags are everybody's and stay as they were.
    ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(what_fits_is_written_at_once) {
    sink_init(&sink, loop, ends[1], on_change, NULL);
    sink_write(&sink, "hello", 5);
    ck_assert(sink_is_empty(&sink));
    ck_assert_int_eq(read(ends[0], got, sizeof(got)), 5);
    ck_assert_int_eq(changes, 0);
}
END_TEST

START_TEST(a_reader_that_leaves_is_an_error_told_once) {
    signal(SIGPIPE, SIG_IGN);
    sink_init(&sink, loop, ends[1], on_change, NULL);
    sink_write(&sink, bytes, FLOOD);
    ends[0] = fd_close(ends[0]);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(sink.error, EPIPE);
    ck_assert_int_eq(changes, 1);
    sink_write(&sink, "more", 4);
    ck_assert(sink_is_empty(&sink));
    ck_assert_int_eq(changes, 1);
}
END_TEST

START_TEST(a_file_takes_all_at_once) {
    int file = memfd_create("sink", MFD_CLOEXEC);
    sink_init(&sink, loop, file, on_change, NULL);
    sink_write(&sink, bytes, FLOOD);
    ck_assert(sink_is_empty(&sink));
    ck_assert_int_eq(lseek(file, 0, SEEK_END), FLOOD);
    close(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sink");
    TCase *group = suite_case(suite, "writing", setup, teardown);
    tcase_add_test(group, more_than_a_pipe_holds_waits_and_arrives_whole);
    tcase_add_test(group, what_fits_is_written_at_once);
    tcase_add_test(group, a_reader_that_leaves_is_an_error_told_once);
    tcase_add_test(group, a_file_takes_all_at_once);
    return suite_run(suite);
}
