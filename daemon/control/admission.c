// Users of the database, clients and jobs.
#include "daemon/control/admission.h"

#include <math.h>
#include <stdio.h>

#include "common/message.h"
#include "common/util.h"
#include "daemon/control/dispatch.h"
#include "daemon/control/follower.h"
#include "daemon/control/keeping.h"
#include "daemon/control/wait.h"

#define TOLD_AGAIN 60.0 // seconds
#define NAMED_OLD 600.0 // seconds: of whom root names. Longer than it takes to look up all that a batch can name

bool admission_may(const struct control *control, uid_t uid, const char **ret_why) {
    if (control->is_shared || uid == control->info.uid)
        return true;
    *ret_why = "this daemon serves its own user only";
    return false;
}

void admission_log(struct control *control, uid_t uid, pid_t pid, const char *why) {
    double now = now_mono();
    struct refused *oldest = &control->refused[0];
    for (size_t i = 0; i < ARRAY_SIZE(control->refused); i++) {
        struct refused *one = &control->refused[i];
        if (one->told_at > 0 && one->uid == uid && now - one->told_at < TOLD_AGAIN)
            return;
        if (one->told_at < oldest->told_at)
            oldest = one;
    }
    if (oldest->told_at > 0 && now - oldest->told_at < TOLD_AGAIN)
        return; // whoever has many users' numbers
    *oldest = (struct refused){uid, now};
    log_warning(control->log, "refused a client of uid %u (pid %d): %s; not told again for a minute", (unsigned)uid,
                (int)pid, why);
}

static struct access_subject subject_of(const struct identity *who) {
    return (struct access_subject){.is_known = who->is_known,
                                   .uid = who->uid,
                                   .user = who->user,
                                   .groups = who->groups,
                                   .group_names = who->group_names,
                                   .group_count = who->group_count};
}

static bool is_own(const struct control *control, uid_t uid) {
    return uid == 0 || uid == control->info.uid;
}

bool admission_knows(const struct control *control, const struct identity *who) {
    const struct access_subject subject = subject_of(who);
    return who->is_known || is_own(control, who->uid) || access_admits(control->access, &subject);
}

bool session_administers(const struct session *session) {
    const struct control *control = session->control;
    if (is_own(control, session->uid))
        return true;
    const struct access_subject subject = session->identity ? subject_of(session->identity)
                                                            : (struct access_subject){0};
    return session->identity && access_administers(control->access, &subject);
}

static void refuse(struct session *session, const char *why) {
    json_t *message = message_error(NULL, PROTO_PERMISSION_DENIED, why, NULL);
    admission_log(session->control, session->uid, session->pid, why);
    session->control->stats.refused++;
    session_send(session, message);
    json_decref(message);
    session->closing = true;
    session_wake(session);
}

static struct claimant *owner_claimant(const struct control *control, struct owner *owner) {
    if (control->is_shared && !owner->claimant)
        owner->claimant = claimant_new(NULL);
    return owner->claimant;
}

struct claimant *admission_claimant(const struct control *control, struct owner *owner) {
    return claimant_new(owner_claimant(control, owner));
}

static void admit(struct session *session, struct identity *who) {
    const struct control *control = session->control;
    const struct access_subject subject = subject_of(who);
    if (!is_own(control, session->uid) && !access_admits(control->access, &subject)) {
        refuse(
            session,
            "the access setting of the machine's daemon does not let this user in: supctl --user has one of their own");
        return;
    }
    if (!session->claimant && !(session->claimant = admission_claimant(control, session->owner))) {
        refuse(session, "out of memory");
        return;
    }
    identity_ref(who);
    identity_unref(session->identity);
    session->identity = who;
    owner_set_name(session->owner, who->user);
    if (waits_overstep(session) || followers_overstep(session))
        refuse(session, "no administrator any more: this connection waits for jobs of others, or follows them");
}

static void on_identity(struct identity_ask *ask, struct identity *identity, int error) {
    struct session *session = ask->data;
    if (!identity) {
        refuse(session, error == -ENOMEM ? "out of memory" : "the user database does not answer now: try again");
        return;
    }
    admit(session, identity);
    session_read(session);
    session_wake(session);
}

void admission_begin(struct session *session) {
    struct control *control = session->control;
    // Those who may always don't wait for the database.
    double age = is_own(control, session->uid) ? INFINITY : IDENTITIES_FRESH;
    struct identity *who = control->is_shared ? identities_get(control->identities, NULL, session->uid, age)
                                              : control->identity;
    if (who) {
        admit(session, who);
        return;
    }
    session->ask = (struct identity_ask){.done = on_identity, .data = session};
    identities_ask(control->identities, NULL, session->uid, &session->ask);
    session_read(session);
}

// What nobody took.
static void parked_close(struct session *session) {
    if (session->parked)
        return;
    session_account(session, -session->parked_along.count);
    ancillary_close(&session->parked_along);
}

void admission_end(struct session *session) {
    identities_unask(&session->ask);
    identity_unref(TAKE_PTR(session->identity));
    json_decref(TAKE_PTR(session->parked));
    parked_close(session);
}

void admission_looked_up(void *data, struct identity *identity) {
    struct control *control = data;
    for (struct session *session = control->sessions; session; session = session->next)
        if (session->uid == identity->uid && session->identity && session->identity != identity && !session->closing)
            admit(session, identity);
}

// By what is known of them at once; and by what the database says now, once it has said it.
void admission_review(struct control *control) {
    if (!control->is_shared)
        return;
    identities_renew(control->identities);
    for (struct session *session = control->sessions; session; session = session->next)
        if (session->identity && !session->closing) {
            admit(session, session->identity);
            int r = identities_look(control->identities, session->uid);
            if (r < 0)
                log_warning(control->log, "uid %u is not looked up anew: %s", (unsigned)session->uid, strerror(-r));
        }
}

// Of a request that starts a job as somebody else; NULL: it doesn't.
static const char *user_named(const json_t *request) {
    const char *method = json_string_value(json_object_get(request, "method"));
    const char *user = json_string_value(json_object_get(json_object_get(request, "params"), "user"));
    bool starts = method && (streq(method, "job.run") || streq(method, "job.start"));
    return starts && user && user[0] && strlen(user) <= PROTO_USER_MAX ? user : NULL;
}

// The next user who must be looked up.
static const char *user_unknown(struct session *session, const json_t *value) {
    struct identities *identities = session->control->identities;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    while (session->parked_next < count) {
        size_t i = session->parked_next++;
        const char *user = user_named(json_is_array(value) ? json_array_get(value, i) : value);
        if (user && !identities_get(identities, user, 0, NAMED_OLD))
            return user;
    }
    return NULL;
}

struct ancillary session_take(struct session *session) {
    struct ancillary along = session->parked_along;
    session->parked_along = (struct ancillary){0};
    return along.count > 0 || along.too_many ? along : stream_take(session->stream);
}

// Each is asked for once: one who is not there is refused by name when all have been.
static void on_named(struct identity_ask *ask, struct identity *identity, int error) {
    struct session *session = ask->data;
    const char *user = user_unknown(session, session->parked);
    if (user) {
        identities_ask(session->control->identities, user, 0, ask);
        return;
    }
    keep_session_unkept(session, -1);
    dispatch_value(session, TAKE_PTR(session->parked));
    parked_close(session);
    session_read(session);
}

bool admission_park(struct session *session, json_t *value) {
    // Others may name nobody but themselves: nothing is looked up for them.
    if (!session->control->is_shared || session->uid != 0 || session->parked)
        return false;
    session->parked_next = 0;
    const char *user = user_unknown(session, value);
    if (!user)
        return false;
    session->parked = json_incref(value);
    session->parked_along = stream_take(session->stream);
    keep_session_unkept(session, 1);
    session->ask = (struct identity_ask){.done = on_named, .data = session};
    identities_ask(session->control->identities, user, 0, &session->ask);
    session_read(session);
    return true;
}

static int refuse_user(struct call *call, const char *why, int error) {
    snprintf(call->refusal.field, sizeof(call->refusal.field), "user");
    snprintf(call->refusal.why, sizeof(call->refusal.why), "%s", why);
    return error;
}

static bool is_self(const struct identity *who, const char *user) {
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)who->uid);
    return streq(user, who->user) || streq(user, number);
}

int admission_identity(struct call *call, const json_t *params, struct identity **ret_identity) {
    struct session *session = call->session;
    struct control *control = session->control;
    const char *user = json_string_value(json_object_get(params, "user"));
    struct identity *who = control->is_shared ? identities_get(control->identities, NULL, session->uid, INFINITY)
                                              : NULL;
    if (who && who != session->identity) { // looked up anew meanwhile
        identity_unref(session->identity);
        session->identity = identity_ref(who);
    }
    *ret_identity = session->identity;
    if (!user || is_self(session->identity, user))
        return 0;
    if (!control->is_shared)
        return refuse_user(call, "this daemon serves its own user only; root may, with the machine's (--system)",
                           -EOPNOTSUPP);
    if (session->uid != 0)
        return refuse_user(call, "jobs of another user are for root to start", -EPERM);
    who = identities_get(control->identities, user, 0, INFINITY);
    if (!who)
        return refuse_user(call, "no such user is known here", -EINVAL);
    *ret_identity = who;
    return 0;
}
