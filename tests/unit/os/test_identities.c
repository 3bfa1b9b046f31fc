// identities: asked for once, known from then on.
#include <math.h>

#include "common/util.h"
#include "daemon/os/identities.h"
#include "tests/unit/suite.h"

static struct ev_loop *loop;
static struct identities *host;
static int looked_up;

struct asked {
    struct identity_ask ask;
    uid_t uid;
    int error, answers;
    bool is_known;
};

static void on_looked_up(void *data, struct identity *identity) {
    ck_assert_ptr_eq(data, &host);
    looked_up++;
    ev_break(loop, EVBREAK_ONE);
}

// Whoever is looked up as STUCK gets no answer before it is let go.
enum { STUCK = 12345 };
static int let_go[2];

static int open_one(const char *name, uid_t uid, struct identity **ret_identity) {
    char byte;
    if (!name && uid == STUCK && read(let_go[0], &byte, 1) < 0)
        return -EIO;
    return identity_open_home(name, uid, ret_identity);
}

static void setup(void) {
    const struct identities_listener listener = {on_looked_up, &host, open_one};
    loop = ev_loop_new(EVFLAG_NOENV);
    looked_up = 0;
    ck_assert_int_eq(identities_new(loop, &listener, &host), 0);
}

static struct identity *get(const char *name, uid_t uid) {
    return identities_get(host, name, uid, INFINITY);
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

START_TEST(one_that_is_stuck_holds_up_nobody) {
    struct asked stuck, one, two;
    ck_assert_int_eq(pipe(let_go), 0);
    ask(&stuck, NULL, STUCK);
    ask(&one, NULL, 1);
    ask(&two, "root", 0);
    answered(&one);
    answered(&two);
    ck_assert(one.is_known && two.is_known);
    ck_assert_int_eq(stuck.answers, 0);
    ck_assert_int_eq(write(let_go[1], "x", 1), 1);
    answered(&stuck);
    ck_assert_uint_eq(stuck.uid, STUCK);
    close(let_go[0]);
    close(let_go[1]);
}
END_TEST

START_TEST(what_was_looked_up_is_known) {
    struct asked one, two, by_name;
    ck_assert_ptr_null(get(NULL, 1));
    ask(&one, NULL, 1);
    ask(&two, NULL, 1);
    ask(&by_name, "root", 0);
    answered(&one);
    answered(&two);
    answered(&by_name);
    ck_assert(one.is_known && two.is_known && by_name.is_known);
    ck_assert_uint_eq(one.uid, 1);
    struct identity *known = get(NULL, 1);
    ck_assert_ptr_nonnull(known);
    ck_assert_uint_eq(known->uid, 1);
    ck_assert_ptr_nonnull(get("root", 7));
    ck_assert_ptr_null(get("1", 0)); // not asked for by this name
}
END_TEST

START_TEST(who_is_not_there_is_asked_for_each_time) {
    struct asked asked;
    ask(&asked, "nobody has this name", 0);
    answered(&asked);
    ck_assert_int_eq(asked.error, -ESRCH);
    ck_assert_ptr_null(get("nobody has this name", 0));
    ask(&asked, NULL, 3999999999u);
    answered(&asked);
    ck_assert_int_eq(asked.error, 0);
    ck_assert(!asked.is_known);
    ck_assert_ptr_null(get(NULL, 3999999999u));
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
    ck_assert_ptr_eq(get(NULL, 0), who);
    identity_unref(who);
    ck_assert_ptr_eq(get(NULL, 0), who);
}
END_TEST

START_TEST(what_is_old_is_looked_up_anew) {
    struct identity *who;
    ck_assert_int_eq(identity_open(NULL, 1, &who), 0);
    who->since -= 100;
    identities_put(host, who);
    ck_assert_ptr_eq(get(NULL, 1), who);
    ck_assert_ptr_null(identities_get(host, NULL, 1, IDENTITIES_FRESH));
    ck_assert_ptr_eq(identities_get(host, NULL, 1, 1000), who);
    ev_ref(loop);
    while (looked_up == 0) // the listener is told, though nobody has asked to be
        ev_run(loop, 0);
    ck_assert_ptr_ne(get(NULL, 1), who);
    ck_assert_ptr_nonnull(identities_get(host, NULL, 1, IDENTITIES_FRESH));
    ck_assert_int_eq(looked_up, 1);
    ev_unref(loop);
    identity_unref(who);
}
END_TEST

START_TEST(once_the_database_has_changed_nothing_is_fresh) {
    struct asked asked;
    ask(&asked, NULL, 1);
    answered(&asked);
    struct identity *before = identity_ref(get(NULL, 1));
    identities_renew(host);
    ck_assert_ptr_null(identities_get(host, NULL, 1, 1e9));
    ck_assert_ptr_eq(get(NULL, 1), before);
    ask(&asked, NULL, 1);
    identities_renew(host); // while it is asked for, which may have been before the change
    answered(&asked);
    ck_assert_int_eq(asked.answers, 1);
    ck_assert_ptr_nonnull(identities_get(host, NULL, 1, IDENTITIES_FRESH));
    looked_up = 0;
    ck_assert_int_eq(identities_look(host, 2), 0);
    ev_ref(loop);
    while (looked_up == 0)
        ev_run(loop, 0);
    ev_unref(loop);
    ck_assert_ptr_nonnull(identities_get(host, NULL, 2, IDENTITIES_FRESH));
    identity_unref(before);
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
    ck_assert_ptr_null(get(NULL, 0));
    ck_assert_ptr_nonnull(get(NULL, 4999));
    ask(&last, NULL, 0);
    answered(&last);
    ck_assert(last.is_known);
}
END_TEST

static int opened;

static int open_counted(const char *name, uid_t uid, struct identity **ret_identity) {
    __atomic_add_fetch(&opened, 1, __ATOMIC_SEQ_CST);
    return identity_open(name, uid, ret_identity);
}

// Whoever has an answer asks again, be it for the same one or for another.
static void on_answer_ask(struct identity_ask *again, struct identity *identity, int error) {
    struct asked *asked = again->data;
    if (asked[0].answers++ > 0) {
        ck_assert_int_eq(opened, 3); // it is what a lookup of its own has found
        ev_break(loop, EVBREAK_ONE);
        return;
    }
    ask(&asked[1], NULL, 3999999998u);
    identities_ask(host, NULL, 3999999999u, again);
}

START_TEST(whoever_is_answered_may_ask_again) {
    struct asked asked[2] = {{.ask = {.done = on_answer_ask, .data = asked}}};
    const struct identities_listener listener = {on_looked_up, &host, open_counted};
    identities_free(host);
    ck_assert_int_eq(identities_new(loop, &listener, &host), 0);
    identities_ask(host, NULL, 3999999999u, &asked[0].ask);
    for (uid_t uid = 0; uid < 5000; uid++) { // there is room for no more, and the one asked for is the oldest
        struct identity *who;
        ck_assert_int_eq(identity_open(NULL, 0, &who), 0);
        who->uid = uid;
        identities_put(host, who);
        identity_unref(who);
    }
    ev_ref(loop);
    while (asked[0].answers < 2 || asked[1].answers == 0)
        ev_run(loop, 0);
    ev_unref(loop);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("os/identities");
    TCase *group = suite_case(suite, "identities", setup, teardown);
    tcase_add_test(group, one_that_is_stuck_holds_up_nobody);
    tcase_add_test(group, what_was_looked_up_is_known);
    tcase_add_test(group, who_is_not_there_is_asked_for_each_time);
    tcase_add_test(group, whoever_does_not_wait_is_not_told);
    tcase_add_test(group, one_who_is_put_in_is_known);
    tcase_add_test(group, what_is_old_is_looked_up_anew);
    tcase_add_test(group, once_the_database_has_changed_nothing_is_fresh);
    tcase_add_test(group, it_does_not_grow_without_end);
    tcase_add_test(group, whoever_is_answered_may_ask_again);
    return suite_run(suite);
}
