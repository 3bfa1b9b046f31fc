// Tests of descriptors beside the lines of a stream.
#include <fcntl.h>
#include <sys/socket.h>

#include "common/util.h"
#include "tests/unit/common/channel.h"
#include "tests/unit/suite.h"

static struct ancillary taken; // by the last line

static void take(void) {
    ancillary_close(&taken);
    taken = stream_take(channel.stream);
}

static void begin(void) {
    channel_setup();
    channel.on_line = take;
    taken = (struct ancillary){0};
}

static void end(void) {
    ancillary_close(&taken);
    channel_teardown();
}

static int pipe_ends[2];

// Sends text with so many copies of the writing end of a new pipe.
static void say_with(const char *text, int count) {
    int fds[ANCILLARY_MAX];
    ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    for (int i = 0; i < count; i++)
        fds[i] = pipe_ends[1];
    ck_assert_int_eq(ancillary_send(channel.peer, text, strlen(text), fds, count), (ssize_t)strlen(text));
    close(pipe_ends[1]);
}

// Whether nobody holds the writing end any more.
static bool all_closed(void) {
    char byte;
    return read(pipe_ends[0], &byte, 1) == 0;
}

START_TEST(they_come_with_their_line) {
    channel_peer_says("before\n");
    say_with("with\n", 2);
    channel_turn();
    ck_assert_str_eq(channel.got, "before|with|");
    ck_assert_int_eq(taken.count, 2);
    ck_assert(!all_closed());
    ck_assert(fcntl(taken.fds[0], F_GETFD) & FD_CLOEXEC);
    ancillary_close(&taken);
    ck_assert(all_closed());
}
END_TEST

START_TEST(what_nobody_takes_is_closed_behind_its_line) {
    channel.on_line = NULL;
    say_with("one\ntwo\n", 1);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|");
    ck_assert(all_closed());
}
END_TEST

START_TEST(they_are_not_the_next_lines) {
    say_with("one\ntwo\n", 1);
    channel_turn();
    ck_assert_int_eq(channel.lines, 2);
    ck_assert_int_eq(taken.count, 0); // of the second
    ck_assert(all_closed());
}
END_TEST

START_TEST(with_another_byte_than_the_first_they_are_closed) {
    channel_peer_says("be");
    say_with("gun\n", 1);
    channel_turn();
    ck_assert_str_eq(channel.got, "begun|");
    ck_assert_int_eq(taken.count, 0);
    ck_assert(all_closed());
}
END_TEST

START_TEST(they_wait_for_the_rest_of_their_line) {
    say_with("be", 1);
    ev_run(channel.loop, EVRUN_NOWAIT);
    channel_peer_says("gun\n");
    channel_turn();
    ck_assert_int_eq(taken.count + all_closed(), 1); // unless patience was shorter than this machine is slow
}
END_TEST

START_TEST(a_stream_that_goes_closes_them) {
    say_with("be", 3);
    ev_run(channel.loop, EVRUN_NOWAIT);
    channel_free_stream();
    channel_turn();
    ck_assert(all_closed());
}
END_TEST

START_TEST(one_that_holds_its_own_other_end_ends) {
    ck_assert_int_eq(ancillary_send(channel.peer, "x", 1, &channel.peer, 1), 1);
    channel.peer = fd_close(channel.peer);
    while (channel.closed == 0)
        ev_run(channel.loop, EVRUN_ONCE);
    ck_assert_int_eq(channel.closed, 1);
}
END_TEST

START_TEST(they_go_with_their_byte) {
    char byte;
    struct ancillary got;
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    channel_say("ab", 2);
    ck_assert_int_eq(stream_give(channel.stream, 1, &ends[1], 1), 0);
    channel_turn();
    ck_assert_int_eq(ancillary_recv(channel.peer, &byte, 1, true, 0, &got), 1);
    ck_assert(byte == 'a' && got.count == 0);
    ck_assert_int_eq(ancillary_recv(channel.peer, &byte, 1, true, 0, &got), 1);
    ck_assert(byte == 'b' && got.count == 1);
    ancillary_close(&got);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0); // the stream's own is closed
    close(ends[0]);
}
END_TEST

START_TEST(what_is_not_sent_is_closed_with_the_stream) {
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    channel_fill();
    ck_assert_int_eq(stream_give(channel.stream, stream_queued(channel.stream) - 1, &ends[1], 1), 0);
    channel_free_stream();
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}
END_TEST

static void dawdle(void) { // longer than a stream's turn may take
    for (double until = now_mono() + 100e-6; now_mono() < until;)
        ;
}

START_TEST(who_runs_one_turn_sees_the_lines_of_its_bottom) {
    channel.on_line = dawdle;
    channel_peer_says("one\ntwo\n");
    while (channel.lines < 2)
        ev_run(channel.loop, EVRUN_ONCE); // never waits while a line is there
    ev_run(channel.loop, EVRUN_NOWAIT);
    ck_assert_str_eq(channel.got, "one|two|");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("passing");
    TCase *group = suite_case(suite, "passing", begin, end);
    tcase_add_test(group, they_come_with_their_line);
    tcase_add_test(group, what_nobody_takes_is_closed_behind_its_line);
    tcase_add_test(group, they_are_not_the_next_lines);
    tcase_add_test(group, with_another_byte_than_the_first_they_are_closed);
    tcase_add_test(group, they_wait_for_the_rest_of_their_line);
    tcase_add_test(group, a_stream_that_goes_closes_them);
    tcase_add_test(group, one_that_holds_its_own_other_end_ends);
    tcase_add_test(group, they_go_with_their_byte);
    tcase_add_test(group, what_is_not_sent_is_closed_with_the_stream);
    tcase_add_test(group, who_runs_one_turn_sees_the_lines_of_its_bottom);
    return suite_run(suite);
}
