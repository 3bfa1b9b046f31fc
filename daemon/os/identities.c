// A cache of users, and the threads that fill it.
#include "daemon/os/identities.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <uthash.h>
#include <utlist.h>

#include "common/util.h"

enum {
    KEY_MAX = 260, // "n" and a name, or "u" and a number
    CACHE_MAX = 4096,
    ASKED_MAX = 1024,           // lookups that wait
    LOOKUP_STACK = 1024 * 1024, // modules of the name service are not ours, and not small
    THREADS = 8,                // one, and others where those before them are stuck
};
#define STUCK_AFTER 0.2 // seconds without an answer

struct lookup {
    char key[KEY_MAX];
    struct identity *identity; // owned, or NULL: not known yet
    struct identity_ask *asks; // list
    bool is_asked;             // it is a thread's, until it is in `answered`
    struct identity *answer;
    int error;
    UT_hash_handle hh;
    struct lookup *prev, *next;                // all, the one used last at the end
    struct lookup *next_asked, *next_answered; // under the lock
};

struct identities {
    struct ev_loop *loop;
    struct identities_listener listener;
    double renewed; // what was looked up before is not fresh; monotonic seconds
    struct lookup *table, *used;
    size_t count, asked_count;
    struct ev_async ready;
    struct ev_timer stuck; // while a lookup waits and a thread more may be had
    pthread_t threads[THREADS];
    int thread_count;
    // Under the lock:
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct lookup *asked, *answered;
    double begun; // when one was begun last; monotonic seconds
    int busy;
    bool leaving;
};

static void key_make(char key[KEY_MAX], const char *name, uid_t uid) {
    if (name)
        snprintf(key, KEY_MAX, "n%s", name);
    else
        snprintf(key, KEY_MAX, "u%u", (unsigned)uid);
}

static void *thread_main(void *data) {
    struct identities *host = data;
    pthread_mutex_lock(&host->lock);
    while (!host->leaving) {
        struct lookup *lookup = host->asked;
        if (!lookup) {
            pthread_cond_wait(&host->work, &host->lock);
            continue;
        }
        LL_DELETE2(host->asked, lookup, next_asked);
        host->busy++;
        host->begun = now_mono();
        pthread_mutex_unlock(&host->lock);
        const char *text = lookup->key + 1;
        bool by_name = lookup->key[0] == 'n';
        struct identity *answer = NULL;
        int r = host->listener.open(by_name ? text : NULL, by_name ? 0 : (uid_t)strtoul(text, NULL, 10), &answer);
        pthread_mutex_lock(&host->lock);
        host->busy--;
        lookup->answer = answer;
        lookup->error = r;
        LL_PREPEND2(host->answered, lookup, next_answered);
        ev_async_send(host->loop, &host->ready);
    }
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

static int thread_start(struct identities *host) {
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LOOKUP_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are for the loop's thread
    int r = -pthread_create(&host->threads[host->thread_count], &attr, thread_main, host);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    host->thread_count += r == 0;
    return r;
}

// One whose home is on a server that is gone is never looked up: nobody else waits behind that.
static void on_stuck(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct identities *host = timer->data;
    pthread_mutex_lock(&host->lock);
    bool waits = host->asked != NULL;
    bool is_stuck = waits && now_mono() - host->begun >= STUCK_AFTER;
    pthread_mutex_unlock(&host->lock);
    if (is_stuck)
        thread_start(host);
    if (!waits || host->thread_count == THREADS) {
        ev_ref(loop);
        ev_timer_stop(loop, timer);
    }
}

static void watch_for_stuck(struct identities *host) {
    if (ev_is_active(&host->stuck) || host->thread_count == THREADS)
        return;
    ev_timer_set(&host->stuck, STUCK_AFTER, STUCK_AFTER);
    ev_timer_start(host->loop, &host->stuck);
    ev_unref(host->loop);
}

static void lookup_free(struct identities *host, struct lookup *lookup) {
    // It is in the table. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
    HASH_DELETE(hh, host->table, lookup);
    DL_DELETE(host->used, lookup);
    host->count--;
    identity_unref(lookup->identity);
    free(lookup);
}

// Those that nobody waits for make room for others.
static void cache_trim(struct identities *host) {
    struct lookup *lookup, *next;
    DL_FOREACH_SAFE(host->used, lookup, next) {
        if (host->count < CACHE_MAX)
            return;
        if (!lookup->is_asked && !lookup->asks)
            lookup_free(host, lookup);
    }
}

static struct lookup *lookup_find(struct identities *host, const char *name, uid_t uid) {
    char key[KEY_MAX];
    struct lookup *lookup;
    key_make(key, name, uid);
    HASH_FIND_STR(host->table, key, lookup);
    if (lookup && lookup->next) {
        DL_DELETE(host->used, lookup);
        DL_APPEND(host->used, lookup);
    }
    return lookup;
}

static struct lookup *lookup_get(struct identities *host, const char *name, uid_t uid) {
    struct lookup *lookup = lookup_find(host, name, uid);
    if (lookup)
        return lookup;
    cache_trim(host);
    lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return NULL;
    key_make(lookup->key, name, uid);
    HASH_ADD_STR(host->table, key, lookup);
    if (!lookup->hh.tbl) {
        free(lookup);
        return NULL;
    }
    DL_APPEND(host->used, lookup);
    host->count++;
    return lookup;
}

// Returns 0 or a negative errno.
static int lookup_begin(struct identities *host, struct lookup *lookup) {
    if (lookup->is_asked)
        return 0;
    int r = host->thread_count > 0 ? 0 : thread_start(host);
    if (r < 0)
        return r;
    watch_for_stuck(host);
    lookup->is_asked = true;
    host->asked_count++;
    pthread_mutex_lock(&host->lock);
    LL_APPEND2(host->asked, lookup, next_asked);
    pthread_mutex_unlock(&host->lock);
    pthread_cond_signal(&host->work);
    return 0;
}

static void ask_answer(struct identity_ask *ask, struct identity *identity, int error) {
    identities_unask(ask);
    ask->done(ask, identity, error);
}

static void lookup_over(struct identities *host, struct lookup *lookup) {
    struct identity *answer = TAKE_PTR(lookup->answer);
    int error = lookup->error;
    lookup->is_asked = false;
    host->asked_count--;
    if (answer && answer->since < host->renewed && lookup_begin(host, lookup) == 0) { // overtaken on its way
        identity_unref(answer);
        return;
    }
    if (answer && answer->is_known) {
        identity_unref(lookup->identity);
        lookup->identity = identity_ref(answer);
    } else if (answer || error == -ESRCH) { // gone from the database; else that does not answer
        identity_unref(TAKE_PTR(lookup->identity));
    }
    // Whoever asks again while they are told waits behind this for another lookup; and it keeps the lookup.
    struct identity_ask end = {.lookup = lookup};
    DL_APPEND(lookup->asks, &end);
    while (lookup->asks != &end)
        ask_answer(lookup->asks, answer, answer ? 0 : error);
    if (answer)
        host->listener.looked_up(host->listener.data, answer);
    identity_unref(answer);
    identities_unask(&end);
    if (!lookup->identity && !lookup->asks && !lookup->is_asked)
        lookup_free(host, lookup);
}

static void on_ready(struct ev_loop *loop, struct ev_async *async, int events) {
    struct identities *host = async->data;
    pthread_mutex_lock(&host->lock);
    struct lookup *list = TAKE_PTR(host->answered);
    pthread_mutex_unlock(&host->lock);
    while (list) {
        struct lookup *lookup = list;
        list = lookup->next_answered;
        lookup_over(host, lookup);
    }
}

int identities_new(struct ev_loop *loop, const struct identities_listener *listener,
                   struct identities **ret_identities) {
    struct identities *host = calloc(1, sizeof(*host));
    if (!host)
        return -ENOMEM;
    host->loop = loop;
    host->listener = *listener;
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->work, NULL);
    ev_async_init(&host->ready, on_ready);
    ev_init(&host->stuck, on_stuck);
    host->ready.data = host->stuck.data = host;
    ev_async_start(loop, &host->ready);
    ev_unref(loop);
    *ret_identities = host;
    return 0;
}

void identities_free(struct identities *host) {
    if (!host)
        return;
    pthread_mutex_lock(&host->lock);
    host->leaving = true;
    bool is_busy = host->busy > 0;
    pthread_mutex_unlock(&host->lock);
    pthread_cond_broadcast(&host->work);
    ev_ref(host->loop);
    ev_async_stop(host->loop, &host->ready);
    if (ev_is_active(&host->stuck))
        ev_ref(host->loop);
    ev_timer_stop(host->loop, &host->stuck);
    for (int i = 0; i < host->thread_count; i++)
        if (is_busy) // whoever is asked may take for ever: they go with the process, and keep its memory
            pthread_detach(host->threads[i]);
        else
            pthread_join(host->threads[i], NULL);
    if (is_busy)
        return;
    struct lookup *lookup, *next;
    DL_FOREACH_SAFE(host->used, lookup, next) {
        identity_unref(lookup->answer);
        lookup_free(host, lookup);
    }
    pthread_cond_destroy(&host->work);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

void identities_put(struct identities *host, struct identity *identity) {
    struct lookup *lookup = lookup_get(host, NULL, identity->uid);
    if (!lookup)
        return;
    identity_unref(lookup->identity);
    lookup->identity = identity_ref(identity);
}

struct identity *identities_get(struct identities *host, const char *name, uid_t uid, double age) {
    struct lookup *lookup = lookup_find(host, name, uid);
    if (!lookup || !lookup->identity)
        return NULL;
    double since = lookup->identity->since, old = since < host->renewed ? INFINITY : now_mono() - since;
    if (old > IDENTITIES_FRESH && host->asked_count < ASKED_MAX)
        lookup_begin(host, lookup);
    return old <= age ? lookup->identity : NULL;
}

void identities_renew(struct identities *host) {
    host->renewed = now_mono();
}

int identities_look(struct identities *host, uid_t uid) {
    struct lookup *lookup = lookup_get(host, NULL, uid);
    return lookup ? lookup_begin(host, lookup) : -ENOMEM;
}

void identities_ask(struct identities *host, const char *name, uid_t uid, struct identity_ask *ask) {
    struct lookup *lookup = lookup_get(host, name, uid);
    int r = !lookup                                               ? -ENOMEM
            : !lookup->is_asked && host->asked_count >= ASKED_MAX ? -EAGAIN
                                                                  : lookup_begin(host, lookup);
    if (r < 0) {
        if (lookup && !lookup->identity && !lookup->asks)
            lookup_free(host, lookup);
        ask->done(ask, NULL, r);
        return;
    }
    ask->lookup = lookup;
    DL_APPEND(lookup->asks, ask);
}

void identities_unask(struct identity_ask *ask) {
    if (ask->lookup)
        DL_DELETE(ask->lookup->asks, ask);
    ask->lookup = NULL;
}
