// Users by uid, with what is theirs.
#include "daemon/store/holders.h"

#include "common/util.h"

void holders_add(struct holders *holders, uid_t uid, int64_t count, int64_t bytes) {
    struct holder *holder;
    HASH_FIND(hh, holders->table, &uid, sizeof(uid), holder);
    if (!holder) {
        holder = calloc(1, sizeof(*holder));
        if (holder) {
            holder->uid = uid;
            HASH_ADD(hh, holders->table, uid, sizeof(uid), holder);
        }
        if (!holder || !holder->hh.tbl) {
            free(holder);
            holders->failed = true;
            return;
        }
    }
    holder->count += count;
    holder->bytes += bytes;
    if (holder->count > 0)
        return;
    HASH_DEL(holders->table, holder);
    free(holder);
}

void holders_done(struct holders *holders) {
    struct holder *holder, *next;
    HASH_ITER(hh, holders->table, holder, next) {
        HASH_DEL(holders->table, holder);
        free(holder);
    }
    *holders = (struct holders){0};
}

int64_t holder_bytes(const struct holder *holder, const struct owners *left) {
    const struct owner *owner = owner_find(left, holder->uid);
    return holder->bytes + (owner ? owner->output.used : 0);
}

struct holder *holders_over(const struct holders *holders, const struct owners *left, uid_t exempt, int64_t count_max,
                            int64_t bytes_max) {
    for (struct holder *holder = holders->table; holder; holder = holder->hh.next)
        if (holder->uid != 0 && holder->uid != exempt &&
            (holder->count > count_max || holder_bytes(holder, left) > bytes_max))
            return holder;
    return NULL;
}

struct holder *holders_largest(const struct holders *holders, bool by_bytes) {
    struct holder *largest = NULL;
    for (struct holder *holder = holders->table; holder; holder = holder->hh.next)
        if (!largest || (by_bytes ? holder->bytes > largest->bytes : holder->count > largest->count))
            largest = holder;
    return largest;
}
