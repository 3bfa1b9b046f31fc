// Leaders of workers before this one: the keeper's children now.
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "common/util.h"
#include "common/watch.h"
#include "daemon/os/kept.h"
#include "daemon/os/leader.h"

enum {
    ADOPTED_TURN = 256,  // ends that are told in one turn of the loop
    FOREIGN_TRIES = 200, // looks for how an ended one ended, until it is given up
};
#define FOREIGN_AGAIN 0.005 // seconds between them

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
    if (watch_failed(loop, io, events))
        return;
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

// linux/pidfd.h as of 6.15; the C library's may be older.
struct pidfd_info_exit {
    uint64_t mask, cgroup;
    uint32_t ids[11]; // pid, tgid, ppid, and the credentials
    int32_t exit_code;
};
#define PIDFD_INFO_WANTED (1u << 3) // PIDFD_INFO_EXIT
#define PIDFD_INFO_GET _IOWR(0xFF, 11, struct pidfd_info_exit)
_Static_assert(sizeof(struct pidfd_info_exit) == 64, "PIDFD_INFO_SIZE_VER0");

struct foreign {
    struct adopted *adopted;
    struct leader *leader;
    struct ev_io io;
    struct ev_timer again; // its parent has still to reap it
    int tries;
};

// Returns false while that is not known yet.
static bool foreign_end(struct foreign *f, struct leader_exit *ret_end) {
    struct pidfd_info_exit info = {.mask = PIDFD_INFO_WANTED};
    *ret_end = (struct leader_exit){.exit_code = -1, .no_usage = true};
    if (ioctl(f->leader->pidfd, PIDFD_INFO_GET, &info) < 0 && errno != ESRCH)
        return true; // this kernel does not tell
    if (!(info.mask & PIDFD_INFO_WANTED))
        return f->tries++ > FOREIGN_TRIES;
    const struct rusage none = {0};
    *ret_end = leader_exit_from(info.exit_code, &none);
    ret_end->no_usage = true;
    return true;
}

static void foreign_look(struct foreign *f) {
    struct leader *leader = f->leader;
    struct leader_exit end;
    ev_io_stop(f->adopted->loop, &f->io);
    if (!foreign_end(f, &end)) {
        ev_timer_set(&f->again, FOREIGN_AGAIN, 0);
        ev_timer_start(f->adopted->loop, &f->again);
        return;
    }
    adopted_remove(f->adopted, leader);
    if (leader->note && end.known)
        leader_note(leader->note, &end);
    leader->told(leader, &end);
}

static void on_foreign(struct ev_loop *loop, struct ev_io *io, int events) {
    if (watch_failed(loop, io, events))
        return;
    foreign_look(io->data);
}

static void on_foreign_again(struct ev_loop *loop, struct ev_timer *timer, int events) {
    foreign_look(timer->data);
}

static void foreign_begin(struct adopted *a, struct leader *leader) {
    struct foreign *f = leader->pidfd >= 0 ? calloc(1, sizeof(*f)) : NULL;
    leader->foreign = f;
    leader->is_adopted = f != NULL;
    if (!f)
        return;
    f->adopted = a;
    f->leader = leader;
    ev_io_init(&f->io, on_foreign, leader->pidfd, EV_READ);
    ev_timer_init(&f->again, on_foreign_again, 0, 0);
    f->io.data = f->again.data = f;
    ev_io_start(a->loop, &f->io);
}

static void foreign_stop(struct adopted *a, struct leader *leader) {
    struct foreign *f = TAKE_PTR(leader->foreign);
    if (!f)
        return;
    ev_io_stop(a->loop, &f->io);
    ev_timer_stop(a->loop, &f->again);
    free(f);
}

void adopted_add(struct adopted *a, struct leader *leader,
                 void (*told)(struct leader *leader, const struct leader_exit *end), void *data) {
    leader->told = told;
    leader->data = data;
    if (leader->is_foreign) {
        foreign_begin(a, leader);
        return;
    }
    HASH_ADD(by_pid, a->leaders, pid, sizeof(leader->pid), leader);
    leader->is_adopted = leader->by_pid.tbl != NULL; // no memory
}

void adopted_remove(struct adopted *a, struct leader *leader) {
    if (!leader->is_adopted)
        return;
    leader->is_adopted = false;
    if (leader->is_foreign)
        foreign_stop(a, leader);
    else
        HASH_DELETE(by_pid, a->leaders, leader);
}

void adopted_listen(struct adopted *a, void (*orphaned)(void *data), void *data) {
    a->orphaned = orphaned;
    a->data = data;
}
