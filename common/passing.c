// Descriptors beside lines.
#include "common/passing.h"

#include "common/util.h"

void passing_leave(struct passing *p) {
    if (p->account && p->in.count > 0)
        p->account(p->data, -p->in.count);
    ancillary_close(&p->in);
}

void passing_lose(struct passing *p) {
    passing_leave(p);
    p->in.too_many = true;
}

void passing_in(struct passing *p, struct ancillary *what) {
    passing_leave(p);
    if (p->account && what->count > 0 && p->account(p->data, what->count) < 0) {
        ancillary_close(what);
        what->too_many = true;
    }
    p->in = *what;
    *what = (struct ancillary){0};
}

struct ancillary passing_take(struct passing *p) {
    struct ancillary what = p->in;
    p->in = (struct ancillary){0};
    return what;
}

int passing_give(struct passing *p, uint64_t at, const int *fds, int count) {
    struct passing_out *set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    *set = (struct passing_out){.at = at, .count = count};
    memcpy(set->fds, fds, (size_t)count * sizeof(int));
    *(p->last ? &p->last->next : &p->out) = set;
    p->last = set;
    return 0;
}

const struct passing_out *passing_next(const struct passing *p, uint64_t at, size_t *ret_room) {
    const struct passing_out *set = p->out && p->out->at == at ? p->out : NULL;
    const struct passing_out *next = set ? set->next : p->out;
    *ret_room = next ? (size_t)(next->at - at) : SIZE_MAX;
    return set;
}

void passing_gone(struct passing *p) {
    struct passing_out *set = p->out;
    p->out = set->next;
    if (!p->out)
        p->last = NULL;
    for (int i = 0; i < set->count; i++)
        close(set->fds[i]);
    if (p->account)
        p->account(p->data, -set->count);
    free(set);
}

void passing_done(struct passing *p) {
    passing_leave(p);
    while (p->out)
        passing_gone(p);
}
