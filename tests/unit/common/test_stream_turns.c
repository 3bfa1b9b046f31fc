// Streams of one owner take turns, however many they are.
#include <fcntl.h>
#include <sys/socket.h>

#include "common/stream.h"
#include "common/util.h"
#include "tests/unit/suite.h"

enum { COUNT = 3, LINES = 4 };

static struct {
    struct ev_loop *loop;
    struct stream_host *host;
    struct stream *streams[COUNT];
    int peers[COUNT], lines[COUNT], most, closed; // most: lines that may still be handed out
    unsigned invoked;
} all;

static const struct stream_limits limits = {.line_max = 1000, .queue_max = 1000, .low_mark = 100, .patience = 10};

static void on_line(struct stream *stream, const char *line, size_t size, void *data) {
    ++*(int *)data;
    all.most--;
}

static bool on_turn(const char *line, size_t size, void *data) {
    return all.most > 0;
}

static void on_closed(struct stream *stream, void *data) {
    all.closed++;
}

static const struct stream_listener listener = {.line = on_line, .closed = on_closed, .turn = on_turn};

static void setup(void) {
    all.closed = 0;
    all.loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(stream_host_new(all.loop, &all.host), 0);
    for (int i = 0; i < COUNT; i++) {
        int ends[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        all.lines[i] = 0;
        all.peers[i] = ends[1];
        ck_assert_int_eq(stream_new(all.host, ends[0], &listener, &limits, &all.lines[i], &all.streams[i]), 0);
    }
}

static void teardown(void) {
    for (int i = 0; i < COUNT; i++) {
        stream_free(all.streams[i]);
        fd_close(all.peers[i]);
    }
    stream_host_free(all.host);
    ev_loop_destroy(all.loop);
}

static void all_say(const char *text) {
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(write(all.peers[i], text, strlen(text)), (ssize_t)strlen(text));
}

static void turn(int most) {
    all.most = most;
    ev_run(all.loop, EVRUN_NOWAIT);
    ck_assert_int_ge(all.most, 0);
}

START_TEST(each_has_its_line_before_one_has_another) {
    for (int i = 0; i < LINES; i++)
        all_say("x\n");
    turn(0); // they are read
    for (int round = 1; round <= LINES; round++) {
        for (int i = 0; i < COUNT; i++)
            turn(1);
        for (int i = 0; i < COUNT; i++)
            ck_assert_int_eq(all.lines[i], round);
    }
    turn(1);
    ck_assert_int_eq(all.most, 1); // there are no more
}
END_TEST

START_TEST(one_that_waits_may_be_freed) {
    all_say("x\nx\n");
    turn(0);
    turn(1);
    for (int i = 0; i < COUNT; i++) {
        stream_free(all.streams[i]);
        all.streams[i] = NULL;
    }
    turn(COUNT * 2);
    ck_assert_int_eq(all.most, 2 * (intmax_t)COUNT);
}
END_TEST

START_TEST(a_last_line_without_newline_is_not_lost) {
    all_say("x");
    turn(0);
    for (int i = 0; i < COUNT; i++)
        shutdown(all.peers[i], SHUT_WR);
    turn(0); // nor does it come before its turn
    for (int i = 0; i < COUNT; i++)
        turn(1);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(all.lines[i], 1);
    turn(1);
    ck_assert_int_eq(all.most, 1);
    ck_assert_int_eq(all.closed, 0);
}
END_TEST

START_TEST(who_is_gone_is_seen_once_the_last_line_had_its_turn) {
    all_say("x");
    for (int i = 0; i < COUNT; i++)
        all.peers[i] = fd_close(all.peers[i]);
    turn(0);
    turn(0);
    ck_assert_int_eq(all.closed, 0);
    for (int i = 1; i <= COUNT; i++) {
        turn(1);
        ck_assert_int_eq(all.most, 0);
        ck_assert_int_eq(all.closed, i);
    }
    turn(1);
    ck_assert_int_eq(all.most, 1);
    ck_assert_int_eq(all.closed, COUNT);
}
END_TEST

static void count_and_invoke(struct ev_loop *loop) {
    all.invoked += ev_pending_count(loop);
    ev_invoke_pending(loop);
}

// Its end, which stays there to be read, would have the loop go round.
START_TEST(one_that_is_held_before_its_last_line_is_not_read) {
    all_say("x");
    for (int i = 0; i < COUNT; i++)
        shutdown(all.peers[i], SHUT_WR);
    turn(0);
    turn(0);
    stream_read(all.streams[0], false);
    turn(1);
    turn(1);
    turn(1);
    ck_assert_int_eq(all.most, 1); // held by its owner, it has none
    ck_assert_int_eq(all.lines[0], 0);
    ev_set_invoke_pending_cb(all.loop, count_and_invoke);
    all.invoked = 0;
    turn(0);
    ck_assert_uint_eq(all.invoked, 1); // the bottom of the turn
    stream_read(all.streams[0], true);
    turn(1);
    ck_assert_int_eq(all.lines[0], 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("common/stream_turns");
    TCase *group = suite_case(suite, "turns", setup, teardown);
    tcase_add_test(group, each_has_its_line_before_one_has_another);
    tcase_add_test(group, one_that_waits_may_be_freed);
    tcase_add_test(group, a_last_line_without_newline_is_not_lost);
    tcase_add_test(group, who_is_gone_is_seen_once_the_last_line_had_its_turn);
    tcase_add_test(group, one_that_is_held_before_its_last_line_is_not_read);
    return suite_run(suite);
}
