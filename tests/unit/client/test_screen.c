// Tests of the modes of a terminal that output switches on.
#include "client/screen.h"
#include "common/util.h"
#include "tests/unit/suite.h"

static struct screen seen(const char *const *pieces) {
    struct screen screen = {0};
    for (; *pieces; pieces++)
        screen_saw(&screen, *pieces, strlen(*pieces));
    return screen;
}

#define SEEN(...) seen((const char *const[]){__VA_ARGS__, NULL})

START_TEST(plain_text_leaves_nothing_to_undo) {
    struct screen screen = SEEN("text\r\n", "\033[31mred\033[0m", "\033]0;title\007", "\033(B", "\033", "[2J");
    ck_assert(!screen.alternate && !screen.changed);
    ck_assert_str_eq(screen_leave(&screen), "");
}
END_TEST

START_TEST(the_alternate_screen_is_left) {
    struct screen screen = SEEN("\033[?1049hcontent");
    ck_assert(screen.alternate);
    ck_assert_ptr_nonnull(strstr(screen_leave(&screen), "\033[?1049l"));
    ck_assert(SEEN("\033[?1049;2004h").alternate);
    ck_assert(SEEN("\033[?47h").alternate);
}
END_TEST

START_TEST(one_that_the_job_has_left_is_not) {
    struct screen screen = SEEN("\033[?1049h...\033[?1049l");
    ck_assert(!screen.alternate && screen.changed);
    ck_assert_ptr_null(strstr(screen_leave(&screen), "1049"));
    ck_assert_ptr_nonnull(strstr(screen_leave(&screen), "\033[?25h"));
}
END_TEST

START_TEST(sequences_may_come_in_pieces) {
    ck_assert(SEEN("x\033", "[", "?10", "49", "h").alternate);
    ck_assert(!SEEN("x\033[?10", "48h").alternate);
}
END_TEST

START_TEST(what_never_ends_is_no_sequence) {
    ck_assert(!SEEN("\033[?11111111111111111111111111049h").alternate);
    ck_assert(SEEN("\033[?\033[?1049h").alternate);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client/screen");
    TCase *group = suite_case(suite, "screen", NULL, NULL);
    tcase_add_test(group, plain_text_leaves_nothing_to_undo);
    tcase_add_test(group, the_alternate_screen_is_left);
    tcase_add_test(group, one_that_the_job_has_left_is_not);
    tcase_add_test(group, sequences_may_come_in_pieces);
    tcase_add_test(group, what_never_ends_is_no_sequence);
    return suite_run(suite);
}
