// Leaders of workers before this one: the keeper's children now.
#include <sys/eventfd.h>

#include "common/util.h"
#include "daemon/os/kept.h"
#include "daemon/os/leader.h"

enum { ADOPTED_TURN = 256 }; // ends that are told in one turn of the loop

struct adopted {
    struct ev_loop *loop;
    struct kept_head *kept; // borrowed
    struct ev_io io;
    struct leader *leaders; // hash by pid
    void (*orphaned)(void *data);
    void *data;
};

// The end of a pid is that of the leader that waits for it: nobody else can have its number before it is reaped, and then
// it waits no more.
static void adopted_take(struct adopted *a, const struct kept_end *entry) {
    struct leader *leader;
    HASH_FIND(by_pid, a->leaders, &entry->pid, sizeof(entry->pid), leader);
    if (!leader || a->kept->journal_start < leader->since)
        return;
    adopted_remove(a, leader);
    if (leader->note)
        leader_note(leader->note, &entry->end);
    leader->told(leader, &entry->end);
}

static void on_news(struct ev_loop *loop, struct ev_io *io, int events) {
    struct adopted *a = io->data;
    uint64_t count;
    if (read(a->kept->news, &count, sizeof(count)) < 0) {
        // Others' news: what counts is the journal.
    }
    const struct kept_end *entry;
    for (int n = 0; (entry = kept_journal_peek(a->kept)); n++) {
        if (n == ADOPTED_TURN) {
            const uint64_t one = 1;
            if (write(a->kept->news, &one, sizeof(one)) == sizeof(one))
                break;
        }
        adopted_take(a, entry);
        kept_journal_pop(a->kept);
    }
    if (a->orphaned)
        a->orphaned(a->data);
}

int adopted_new(struct ev_loop *loop, struct kept_head *kept, struct adopted **ret_adopted) {
    struct adopted *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->loop = loop;
    a->kept = kept;
    ev_io_init(&a->io, on_news, kept->news, EV_READ);
    a->io.data = a;
    if (kept->news >= 0) {
        ev_io_start(loop, &a->io);
        ev_unref(loop);
        ev_feed_event(loop, &a->io, EV_READ); // what the last worker left in the journal
    }
    *ret_adopted = a;
    return 0;
}

void adopted_free(struct adopted *a) {
    if (!a)
        return;
    if (ev_is_active(&a->io)) {
        ev_ref(a->loop);
        ev_io_stop(a->loop, &a->io);
    }
    HASH_CLEAR(by_pid, a->leaders);
    free(a);
}

void adopted_add(struct adopted *a, struct leader *leader,
                 void (*told)(struct leader *leader, const struct leader_exit *end), void *data) {
    leader->is_adopted = true;
    leader->told = told;
    leader->data = data;
    HASH_ADD(by_pid, a->leaders, pid, sizeof(leader->pid), leader);
}

void adopted_remove(struct adopted *a, struct leader *leader) {
    if (!leader->is_adopted)
        return;
    HASH_DELETE(by_pid, a->leaders, leader);
    leader->is_adopted = false;
}

void adopted_listen(struct adopted *a, void (*orphaned)(void *data), void *data) {
    a->orphaned = orphaned;
    a->data = data;
}
