// identities: asked for once, known from then on.
#include "common/util.h"
#include "daemon/os/identities.h"
#include "tests/unit/suite.h"

static struct ev_loop *loop;
static struct identities *host;

struct asked {
    struct identity_ask ask;
    uid_t uid;
    int error, answers;
    bool is_known;
};

static void setup(void) {
    loop = ev_loop_new(EVFLAG_NOENV);
    ck_assert_int_eq(identities_new(loop, &host), 0);
}

static void teardown(void) {
    identities_free(host);
    ev_loop_destroy(loop);
}

static void on_answer(struct identity_ask *ask, struct identity *identity, int error) {
    struct asked *asked = ask->data;
    asked->answers++;
    asked->error = error;
    asked->uid = identity ? identity->uid : 0;
    asked->is_known = identity && identity->is_known;
    ev_break(loop, EVBREAK_ONE);
}

static void ask(struct asked *asked, const char *name, uid_t uid) {
    *asked = (struct asked){.ask = {.done = on_answer, .data = asked}};
    identities_ask(host, name, uid, &asked->ask);
}

// The host's watcher does not keep the loop: somebody waits.
static void answered(const struct asked *asked) {
    ev_ref(loop);
    while (asked->answers == 0)
        ev_run(loop, 0);
    ev_unref(loop);
}

START_TEST(what_was_looked_up_is_known) {
    struct asked one, two, by_name;
    ck_assert_ptr_null(identities_get(host, NULL, 1));
    ask(&one, NULL, 1);
    ask(&two, NULL, 1);
    ask(&by_name, "root", 0);
    answered(&one);
    answered(&two);
    answered(&by_name);
    ck_assert(one.is_known && two.is_known && by_name.is_known);
    ck_assert_uint_eq(one.uid, 1);
    struct identity *known = identities_get(host, NULL, 1);
    ck_assert_ptr_nonnull(known);
    ck_assert_uint_eq(known->uid, 1);
    ck_assert_ptr_nonnull(identities_get(host, "root", 7));
    ck_assert_ptr_null(identities_get(host, "1", 0)); // not asked for by this name
}
END_TEST

START_TEST(who_is_not_there_is_asked_for_each_time) {
    struct asked asked;
    ask(&asked, "nobody has this name", 0);
    answered(&asked);
    ck_assert_int_eq(asked.error, -ESRCH);
    ck_assert_ptr_null(identities_get(host, "nobody has this name", 0));
    ask(&asked, NULL, 3999999999u);
    answered(&asked);
    ck_assert_int_eq(asked.error, 0);
    ck_assert(!asked.is_known);
    ck_assert_ptr_null(identities_get(host, NULL, 3999999999u));
}
END_TEST

START_TEST(whoever_does_not_wait_is_not_told) {
    struct asked gone, there;
    ask(&gone, NULL, 1);
    identities_unask(&gone.ask);
    identities_unask(&gone.ask);
    ask(&there, NULL, 1);
    answered(&there);
    ck_assert_int_eq(gone.answers, 0);
}
END_TEST

START_TEST(one_who_is_put_in_is_known) {
    struct identity *who;
    ck_assert_int_eq(identity_open(NULL, 0, &who), 0);
    identities_put(host, who);
    ck_assert_ptr_eq(identities_get(host, NULL, 0), who);
    identity_unref(who);
    ck_assert_ptr_eq(identities_get(host, NULL, 0), who);
}
END_TEST

START_TEST(it_does_not_grow_without_end) {
    struct asked last;
    for (uid_t uid = 0; uid < 5000; uid++) {
        struct identity *who;
        ck_assert_int_eq(identity_open(NULL, 0, &who), 0);
        who->uid = uid;
        identities_put(host, who);
        identity_unref(who);
    }
    ck_assert_ptr_null(identities_get(host, NULL, 0));
    ck_assert_ptr_nonnull(identities_get(host, NULL, 4999));
    ask(&last, NULL, 0);
    answered(&last);
    ck_assert(last.is_known);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/identities");
    TCase *group = suite_case(suite, "identities", setup, teardown);
    tcase_add_test(group, what_was_looked_up_is_known);
    tcase_add_test(group, who_is_not_there_is_asked_for_each_time);
    tcase_add_test(group, whoever_does_not_wait_is_not_told);
    tcase_add_test(group, one_who_is_put_in_is_known);
    tcase_add_test(group, it_does_not_grow_without_end);
    return suite_run(suite);
}
