// Tests of the line stream over a socket pair on a libev loop of its own.
#include "common/stream.h"

#include <sys/socket.h>

#include "common/util.h"
#include "tests/unit/common/channel.h"
#include "tests/unit/suite.h"

START_TEST(lines_come_whole_and_in_order) {
    channel_peer_says("one\ntwo\n\nfo");
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two||");
    channel_peer_says("ur\n");
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two||four|");
    ck_assert_int_eq(write(channel.peer, "a\0b\r\n", 5), 5);
    channel_turn();
    ck_assert_mem_eq(channel.got + channel.got_size - 5, "a\0b\r|", 5);
    ck_assert_int_eq(channel.closed + channel.overlong + channel.drained, 0);
}
END_TEST

START_TEST(byte_by_byte_is_the_same) {
    for (const char *p = "first\nsecond\n"; *p; p++) {
        ck_assert_int_eq(write(channel.peer, p, 1), 1);
        channel_turn();
    }
    ck_assert_str_eq(channel.got, "first|second|");
}
END_TEST

START_TEST(many_lines_take_turns) {
    for (int i = 0; i < 100; i++)
        channel_peer_says("x\n");
    ev_run(channel.loop, EVRUN_NOWAIT);
    ck_assert_int_lt(channel.lines, 100); // nobody else waits for all of them
    // A turn that hands out the last ones has nothing to wait for but the peer, so up to there it may sleep.
    for (int i = 0; i < 100 && channel.lines < 80; i++)
        ev_run(channel.loop, EVRUN_ONCE);
    channel_turn();
    ck_assert_int_eq(channel.lines, 100);
}
END_TEST

static void peer_says_long(size_t size, const char *end) {
    char text[CHANNEL_LINE_MAX * 3] = "";
    memset(text, 'l', size);
    strcpy(text + size, end);
    channel_peer_says(text);
    channel_turn();
}

START_TEST(the_longest_line_passes) {
    peer_says_long(CHANNEL_LINE_MAX, "\n");
    ck_assert_int_eq(channel.lines, 1);
    ck_assert_uint_eq(channel.got_size, CHANNEL_LINE_MAX + 1);
    peer_says_long(CHANNEL_LINE_MAX, "");
    ck_assert_int_eq(channel.overlong, 0);
    channel_peer_says("\n");
    channel_turn();
    ck_assert_int_eq(channel.lines, 2);
    ck_assert_int_eq(channel.overlong, 0);
}
END_TEST

START_TEST(an_overlong_line_ends_reading) {
    channel_peer_says("ok\n");
    peer_says_long(CHANNEL_LINE_MAX + 1, ""); // told before its end comes
    ck_assert_str_eq(channel.got, "ok|");
    ck_assert_int_eq(channel.overlong, 1);
    channel_peer_says("\nmore\n");
    channel_turn();
    ck_assert_int_eq(channel.lines, 1);
    ck_assert_int_eq(channel.overlong, 1);
    char text[20];
    channel_say("refused\n", 8); // writing goes on
    channel_turn();
    ck_assert_uint_eq(channel_peer_reads(text, sizeof(text)), 8);
    ck_assert_int_eq(channel.closed, 0);
}
END_TEST

START_TEST(an_overlong_whole_line_is_overlong_too) {
    peer_says_long(CHANNEL_LINE_MAX + 1, "\nmore\n");
    ck_assert_int_eq(channel.overlong, 1);
    ck_assert_int_eq(channel.lines, 0);
}
END_TEST

START_TEST(a_last_line_without_newline_is_a_line) {
    channel_peer_says("one\ntwo");
    channel_turn();
    ck_assert_str_eq(channel.got, "one|");
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|");
    ck_assert_int_eq(channel.closed, 0);
}
END_TEST

START_TEST(the_end_alone_is_no_line) {
    channel_peer_says("one\n");
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|");
    ck_assert_int_eq(channel.closed, 0);
}
END_TEST

START_TEST(half_closed_still_writes) {
    char text[100];
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    ck_assert_int_eq(channel.closed, 0);
    channel_say("answer\n", 7);
    channel_turn();
    channel_peer_reads(text, sizeof(text));
    ck_assert_str_eq(text, "answer\n");
    channel.peer = fd_close(channel.peer);
    channel_turn();
    ck_assert_int_eq(channel.closed, 1);
    channel_turn();
    ck_assert_int_eq(channel.closed, 1);
}
END_TEST

static void give_up(struct ev_loop *l, struct ev_timer *w, int events) {
    ev_break(l, EVBREAK_ALL);
}

START_TEST(a_half_closed_one_does_not_spin) {
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    struct ev_timer timer;
    ev_timer_init(&timer, give_up, 0.02, 0);
    ev_timer_start(channel.loop, &timer);
    unsigned before = ev_iteration(channel.loop);
    ev_run(channel.loop, 0);
    ck_assert_uint_le(ev_iteration(channel.loop) - before, 3); // the timer's, not one after the other
    ck_assert_int_eq(channel.closed, 0);
}
END_TEST

START_TEST(the_peer_gone_closes_once) {
    channel_peer_says("one\ntwo");
    channel.peer = fd_close(channel.peer);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|");
    ck_assert_int_eq(channel.closed, 1);
    channel_say("to nobody\n", 10);
    channel_turn();
    ck_assert_int_eq(channel.closed, 1);
}
END_TEST

START_TEST(writing_to_one_gone_closes) {
    shutdown(channel.peer, SHUT_RD);
    channel_say("x\n", 2);
    channel_turn();
    ck_assert_int_eq(channel.closed, 1);
}
END_TEST

START_TEST(closed_may_free) {
    channel.on_closed = channel_free_stream;
    channel.peer = fd_close(channel.peer);
    channel_turn();
    ck_assert_int_eq(channel.closed, 1);
    ck_assert_ptr_null(channel.stream);
}
END_TEST

START_TEST(what_is_queued_goes_by_one_write) {
    char text[100];
    channel_say("a\n", 2);
    channel_say("b\n", 2);
    ck_assert_uint_eq(stream_queued(channel.stream), 4);
    ck_assert_uint_eq(channel_peer_reads(text, sizeof(text)), 0); // nothing before the turn's end
    channel_turn();
    ck_assert_uint_eq(stream_queued(channel.stream), 0);
    ck_assert_uint_eq(channel_peer_reads(text, sizeof(text)), 4);
    ck_assert_str_eq(text, "a\nb\n");
    ck_assert_int_eq(channel.drained, 0); // never was above the mark
}
END_TEST

START_TEST(drained_comes_once_after_the_queue_was_high) {
    channel_clog();
    ck_assert_int_eq(channel.drained, 0);
    channel_unclog();
    channel_turn();
    ck_assert_int_eq(channel.drained, 1);
    channel_clog();
    channel_unclog();
    channel_turn();
    ck_assert_int_eq(channel.drained, 2);
}
END_TEST

START_TEST(a_full_queue_stops_reading) {
    channel_clog();
    channel_peer_says("while full\n");
    channel_turn();
    ck_assert_int_eq(channel.lines, 0);
    channel_unclog();
    channel_turn();
    ck_assert_str_eq(channel.got, "while full|");
}
END_TEST

START_TEST(a_queue_filled_by_an_answer_holds_the_next_line) {
    channel.on_line = channel_fill;
    channel_peer_says("one\ntwo\n");
    channel_turn();
    ck_assert_str_eq(channel.got, "one|");
    channel_unclog();
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|");
}
END_TEST

START_TEST(reading_is_switched_off_and_on) {
    stream_read(channel.stream, false);
    channel_turn();
    channel_peer_says("one\ntwo\nthree");
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    ck_assert_int_eq(channel.lines + channel.closed, 0);
    stream_read(channel.stream, true);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|three|");
}
END_TEST

static void hold(void) {
    stream_read(channel.stream, false);
}

START_TEST(reading_is_switched_off_between_lines) {
    channel.on_line = hold;
    channel_peer_says("one\ntwo\nthree");
    shutdown(channel.peer, SHUT_WR);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|");
    stream_read(channel.stream, true);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|");
    channel.on_line = NULL;
    stream_read(channel.stream, true);
    channel_turn();
    ck_assert_str_eq(channel.got, "one|two|three|");
}
END_TEST

static void hold_on_check(struct ev_loop *l, struct ev_check *w, int events) {
    hold();
}

// Another watcher of the same turn switches reading off when the peer's end is already there to be read.
START_TEST(switched_off_just_before_the_end_nothing_is_lost) {
    channel_peer_says("last");
    channel_turn();
    struct ev_check check;
    ev_check_init(&check, hold_on_check);
    ev_set_priority(&check, EV_MAXPRI);
    ev_check_start(channel.loop, &check);
    shutdown(channel.peer, SHUT_WR);
    ev_run(channel.loop, EVRUN_NOWAIT);
    ev_check_stop(channel.loop, &check);
    channel_turn();
    ck_assert_int_eq(channel.lines, 0);
    stream_read(channel.stream, true);
    channel_turn();
    ck_assert_str_eq(channel.got, "last|");
}
END_TEST

START_TEST(a_callback_may_free_before_more_lines) {
    channel.on_line = channel_free_stream;
    channel_peer_says("one\ntwo\nthree\n");
    channel_turn();
    ck_assert_str_eq(channel.got, "one|");
    char text[4];
    ck_assert_int_eq(read(channel.peer, text, sizeof(text)), 0); // closed at once
}
END_TEST

static void answer_and_free(void) {
    channel_say("bye\n", 4);
    channel_free_stream();
}

START_TEST(freeing_sends_what_it_can) {
    char text[100];
    channel.on_line = answer_and_free;
    channel_peer_says("quit\n");
    channel_turn();
    ck_assert_uint_eq(channel_peer_reads(text, sizeof(text)), 4);
    ck_assert_str_eq(text, "bye\n");
    ck_assert_int_eq(channel.closed, 0);
    stream_free(NULL);
}
END_TEST

START_TEST(freeing_a_clogged_one_does_not_wait) {
    channel_clog();
    stream_send(channel.stream);
    channel_free_stream();
    channel_turn();
    ck_assert_int_eq(channel.closed + channel.drained, 0);
}
END_TEST

START_TEST(a_wrong_descriptor_is_refused) {
    struct stream *none = NULL;
    ck_assert_int_eq(stream_new(channel.host, -1, &channel_listener, &channel_limits, NULL, &none), -EBADF);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(an_idle_host_does_not_keep_the_loop) {
    channel_free_stream();
    ev_run(channel.loop, 0); // returns: nothing is left to wait for
    ck_assert_int_eq(channel.closed, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stream");
    TCase *reading = suite_case(suite, "reading", channel_setup, channel_teardown);
    tcase_add_test(reading, lines_come_whole_and_in_order);
    tcase_add_test(reading, byte_by_byte_is_the_same);
    tcase_add_test(reading, many_lines_take_turns);
    tcase_add_test(reading, the_longest_line_passes);
    tcase_add_test(reading, an_overlong_line_ends_reading);
    tcase_add_test(reading, an_overlong_whole_line_is_overlong_too);
    tcase_add_test(reading, a_last_line_without_newline_is_a_line);
    tcase_add_test(reading, the_end_alone_is_no_line);
    tcase_add_test(reading, reading_is_switched_off_and_on);
    tcase_add_test(reading, reading_is_switched_off_between_lines);
    tcase_add_test(reading, switched_off_just_before_the_end_nothing_is_lost);
    TCase *ending = suite_case(suite, "ending", channel_setup, channel_teardown);
    tcase_add_test(ending, half_closed_still_writes);
    tcase_add_test(ending, a_half_closed_one_does_not_spin);
    tcase_add_test(ending, the_peer_gone_closes_once);
    tcase_add_test(ending, writing_to_one_gone_closes);
    tcase_add_test(ending, closed_may_free);
    tcase_add_test(ending, a_callback_may_free_before_more_lines);
    tcase_add_test(ending, freeing_sends_what_it_can);
    tcase_add_test(ending, freeing_a_clogged_one_does_not_wait);
    tcase_add_test(ending, a_wrong_descriptor_is_refused);
    tcase_add_test(ending, an_idle_host_does_not_keep_the_loop);
    TCase *writing = suite_case(suite, "writing", channel_setup, channel_teardown);
    tcase_add_test(writing, what_is_queued_goes_by_one_write);
    tcase_add_test(writing, drained_comes_once_after_the_queue_was_high);
    tcase_add_test(writing, a_full_queue_stops_reading);
    tcase_add_test(writing, a_queue_filled_by_an_answer_holds_the_next_line);
    return suite_run(suite);
}
