// The reading order of two streams.
#include "daemon/store/order.h"

#include <math.h>

#include "common/util.h"

enum { ORDER_TIMES = ORDER_MAX / 2 }; // runs from which on cuts that are there for their times alone are joined
#define ORDER_TIME_MAX 1e15           // what no clock tells, and what JSON could not
#define ORDER_STEP 0.001              // seconds between those
#define ORDER_FINE (1.0 / 1024)       // of its age: how far a run's time may be off where room is made, ...
#define ORDER_COARSE (1.0 / 32)       // ... and at the very most

void order_done(struct order *order) {
    free(order->runs);
    *order = (struct order){0};
}

void order_mend(struct order *o) {
    for (size_t i = 0; i < o->count; i++) {
        const struct order_run *run = &o->runs[i];
        if (run->stream >= 0 && run->stream < 2 && run->start >= 0 && run->at >= 0 && run->at < ORDER_TIME_MAX)
            continue;
        o->count = i;
        o->full = true;
    }
}

int order_load(struct order *o, const struct order_run *runs, size_t count, bool full) {
    struct order_run *own = count > 0 ? malloc(count * sizeof(*own)) : NULL;
    if (count > 0 && !own)
        return -ENOMEM;
    if (own)
        memcpy(own, runs, count * sizeof(*own));
    *o = (struct order){.runs = own, .count = count, .capacity = count, .full = full};
    order_mend(o);
    return 0;
}

int order_copy(struct order *to, const struct order *from) {
    return order_load(to, from->runs, from->count, from->full);
}

// Joins each run with the one of its stream before it that is less than a share of its own age away: only where nothing
// of the other stream stands in between, or whatever does.
static void order_join(struct order *o, double now, double share, bool switches) {
    const struct order_run *last[2] = {NULL, NULL};
    size_t kept = 0;
    for (size_t i = 0; i < o->count; i++) {
        // There are as many as it counts. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        const struct order_run run = o->runs[i];
        const struct order_run *before = last[run.stream];
        bool joins = before && (switches || before == &o->runs[kept - 1]) &&
                     fabs(run.at - before->at) < fabs(now - run.at) * share;
        if (joins)
            continue;
        o->runs[kept] = run;
        last[run.stream] = &o->runs[kept++];
    }
    o->removed += o->count - kept;
    o->changed |= kept < o->count;
    o->count = kept;
}

// Makes room for a fourth more. Cuts that are there for their times alone go first.
static void order_thin(struct order *o, double now, size_t most, bool switches) {
    // Powers of two: exact. NOLINTNEXTLINE(cert-flp30-c)
    for (double share = ORDER_FINE; o->count > most - most / 4 && share <= ORDER_COARSE; share *= 2)
        order_join(o, now, share, switches);
}

static void order_make_room(struct order *o, double now, size_t most) {
    if (o->count >= MAX(o->thin_at, (size_t)ORDER_TIMES)) {
        order_thin(o, now, ORDER_TIMES, false);
        o->thin_at = o->count + ORDER_TIMES / 4;
    }
    if (o->count >= most)
        order_thin(o, now, most, true);
}

void order_add(struct order *o, int stream, int64_t start, double at, size_t most) {
    const struct order_run *last = o->count > 0 ? &o->runs[o->count - 1] : NULL;
    if (o->full || (last && last->stream == stream && fabs(at - last->at) < ORDER_STEP))
        return;
    most = MIN(most, (size_t)ORDER_MAX);
    order_make_room(o, at, most);
    if (o->count == o->capacity) {
        size_t capacity = MIN(o->capacity ? o->capacity * 2 : 4, most);
        struct order_run *runs = capacity <= o->count ? NULL : realloc(o->runs, capacity * sizeof(*runs));
        if (!runs) {
            o->full = true;
            return;
        }
        o->runs = runs;
        o->capacity = capacity;
    }
    // There are as many as it counts. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
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
    // Runs that have gone since stood before or behind it.
    for (size_t i = *hint > o->removed ? *hint - o->removed : 0; i < o->count; i++) {
        const struct order_run *run = &o->runs[i];
        int64_t end = MIN(run_end(o, i, total), total[run->stream]);
        if (next[run->stream] >= end)
            continue;
        bool known = !(o->full && end == total[run->stream]) || next[run->stream] == run->start;
        *hint = i + o->removed;
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
