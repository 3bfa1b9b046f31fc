// The reading order of two streams.
#include "daemon/store/order.h"

#include "common/util.h"

void order_done(struct order *order) {
    free(order->runs);
    *order = (struct order){0};
}

int order_load(struct order *o, const struct order_run *runs, size_t count, bool full) {
    struct order_run *own = count > 0 ? malloc(count * sizeof(*own)) : NULL;
    if (count > 0 && !own)
        return -ENOMEM;
    if (own)
        memcpy(own, runs, count * sizeof(*own));
    *o = (struct order){.runs = own, .count = count, .capacity = count, .full = full};
    return 0;
}

int order_copy(struct order *to, const struct order *from) {
    return order_load(to, from->runs, from->count, from->full);
}

void order_add(struct order *o, int stream, int64_t start, double at) {
    if (o->count > 0 && o->runs[o->count - 1].stream == stream && !o->full && at - o->runs[o->count - 1].at < 1)
        return;
    bool again = o->count > 0 && o->runs[o->count - 1].stream == stream;
    // The last runs are for switches: a job that prints for an hour keeps its order.
    if (o->full || (again && o->count >= ORDER_MAX / 2))
        return;
    if (o->count == o->capacity) {
        size_t capacity = o->capacity ? o->capacity * 2 : 4;
        struct order_run *runs = capacity > ORDER_MAX ? NULL : realloc(o->runs, capacity * sizeof(*runs));
        if (!runs) {
            o->full = true;
            return;
        }
        o->runs = runs;
        o->capacity = capacity;
    }
    o->runs[o->count++] = (struct order_run){.start = start, .at = at, .stream = stream};
}

// Where the run's bytes end in its stream: where the next run of that stream begins.
static int64_t run_end(const struct order *o, size_t i, const int64_t total[2]) {
    for (size_t j = i + 1; j < o->count; j++)
        if (o->runs[j].stream == o->runs[i].stream)
            return o->runs[j].start;
    return total[o->runs[i].stream];
}

bool order_next(const struct order *o, const int64_t next[2], const int64_t total[2], size_t *hint, int *ret_stream,
                int64_t *ret_end, double *ret_at) {
    for (size_t i = *hint; i < o->count; i++) {
        const struct order_run *run = &o->runs[i];
        int64_t end = MIN(run_end(o, i, total), total[run->stream]);
        if (next[run->stream] >= end)
            continue;
        bool known = !(o->full && end == total[run->stream]) || next[run->stream] == run->start;
        *hint = i;
        *ret_stream = run->stream;
        *ret_end = end;
        *ret_at = known ? run->at : 0;
        return true;
    }
    for (int s = 0; s < 2; s++)
        if (next[s] < total[s]) {
            *ret_stream = s;
            *ret_end = total[s];
            *ret_at = 0;
            return true;
        }
    return false;
}
