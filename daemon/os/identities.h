// identities: users of the database as they are asked for, kept for a while. Lookups are made by threads of their own, as
// they may ask other machines: the loop never waits for one, and where one is stuck others are made by the next thread.
#pragma once

#include <ev.h>

#include "daemon/os/identity.h"

struct identities;

// Somebody who waits for an answer; part of something of theirs. `done` is called once, from the loop. NULL: there is no
// such user, or nobody can tell now (memory, or too many are asked for): `error` says which, a negative errno.
struct identity_ask {
    void (*done)(struct identity_ask *ask, struct identity *identity, int error);
    void *data;
    struct lookup *lookup; // NULL: it does not wait
    struct identity_ask *prev, *next;
};

// What the database says now of a user, each time that it was asked: who is served by what it said before is judged anew.
struct identities_listener {
    void (*looked_up)(void *data, struct identity *identity); // borrowed; from the loop
    void *data;
    int (*open)(const char *name, uid_t uid, struct identity **ret_identity); // as identity_open_home; on any thread
};

int identities_new(struct ev_loop *loop, const struct identities_listener *listener,
                   struct identities **ret_identities);
void identities_free(struct identities *identities); // nobody waits any more. NULL is allowed

// Puts one in that is known already. Takes a reference of its own.
void identities_put(struct identities *identities, struct identity *identity);
// By name where one is given, else by uid: what is known now and not older than `age` in seconds, borrowed, or NULL. One
// that is no more fresh is looked up anew meanwhile, for the next one who asks. One that the database does not know is never
// known now.
#define IDENTITIES_FRESH 30.0
struct identity *identities_get(struct identities *identities, const char *name, uid_t uid, double age);
// The database has changed: nothing that is known is fresh any more, or of any age but infinite.
void identities_renew(struct identities *identities);
// Asks the database for the listener's sake. Returns 0 or a negative errno.
int identities_look(struct identities *identities, uid_t uid);
void identities_ask(struct identities *identities, const char *name, uid_t uid, struct identity_ask *ask);
void identities_unask(struct identity_ask *ask); // it need not wait
