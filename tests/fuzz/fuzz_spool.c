// fuzz_spool: a log written in pieces of any size, beside a copy that keeps every byte: what is read back is the same,
// and what is not there is told as a gap.
//
// Of the input, the first four bytes are the budget and the limit, each other one a piece that is written.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/store/spool.h"

enum { HEADER = 4, WRITTEN_MAX = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char whole[WRITTEN_MAX];

static struct {
    struct spool_host *spools;
    char path[32];
} host;

static void host_close(void) {
    spool_host_free(host.spools);
    rmdir(host.path);
}

static struct spool_host *host_get(void) {
    if (host.spools)
        return host.spools;
    static char scratch[65536];
    snprintf(host.path, sizeof(host.path), "/tmp/fuzz-spool-XXXXXX");
    if (!mkdtemp(host.path))
        exit(1);
    const struct spool_host_parts parts = {
        .path = host.path, .name = strrchr(host.path, '/') + 1, .cap = 1 << 20, .scratch = scratch};
    if (spool_host_new(&parts, &host.spools) < 0)
        exit(1);
    atexit(host_close);
    return host.spools;
}

static void check_gaps(const struct spool *spool, int64_t gaps[2][2], int count) {
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        if (gaps[i][0] < at || gaps[i][1] <= gaps[i][0] || gaps[i][1] > spool->total)
            abort();
        at = gaps[i][1] + 1; // gaps that touch are one
    }
}

// Every offset is either in a gap or read back as it was written. While the log is written the ring may hold more than
// the budget, so a byte in a gap may still be there, but never a wrong one.
static void check_bytes(struct spool *spool, int64_t gaps[2][2], int count) {
    for (int64_t o = 0; o < spool->total; o++) {
        char byte;
        bool in_gap = false, there = spool_read(spool, o, &byte, 1) == 1;
        for (int i = 0; i < count; i++)
            in_gap |= o >= gaps[i][0] && o < gaps[i][1];
        if (!there && !in_gap)
            abort();
        if (there && byte != whole[o])
            abort();
        if (there && in_gap && spool->sealed)
            abort();
        int64_t next = spool_skip_gap(spool, o);
        if (there ? next != o : next <= o || (next < spool->total && spool_read(spool, next, &byte, 1) != 1))
            abort();
    }
}

static void check(struct spool *spool) {
    int64_t gaps[2][2];
    int count = spool_gaps(spool, gaps);
    check_gaps(spool, gaps, count);
    check_bytes(spool, gaps, count);
}

// Writes one piece. `hold`: the oldest byte that must stay. Returns whether there was room.
static bool put(struct spool *spool, size_t piece, int64_t hold) {
    while (piece > 0) {
        size_t room;
        char *to = spool_room(spool, piece, hold, &room);
        if (room == 0)
            return false;
        if (!to || room > piece)
            abort();
        for (size_t i = 0; i < room; i++)
            to[i] = whole[spool->total + (int64_t)i] = (char)((spool->total + (int64_t)i) * 31 >> 2);
        spool_commit(spool, room);
        piece -= room;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct spool spool;
    if (size < HEADER || size > 64)
        return 0;
    int64_t limit = data[2] % 2 ? (int64_t)data[2] * 32 : -1;
    spool_init(&spool, host_get(), (int64_t)data[0] * 16, (int64_t)data[1] * 16, limit);
    if (data[3] % 4 == 3)
        spool_widen(&spool, 8192);
    for (size_t i = HEADER; i < size; i++) {
        size_t piece = (size_t)data[i] * (data[3] % 4 + 1);
        // One that follows without a loss is at a recent byte: that one stays, and is the same.
        int64_t hold = data[3] % 2 ? INT64_MAX : MAX(spool.total - data[i], 0);
        int64_t oldest = spool_skip_gap(&spool, MIN(hold, spool.total));
        if ((size_t)spool.total + piece > sizeof(whole))
            break;
        put(&spool, piece, hold == INT64_MAX ? hold : oldest);
        char byte;
        if (hold != INT64_MAX && oldest < spool.stored && spool_read(&spool, oldest, &byte, 1) != 1)
            abort();
        if (i % 8 == 0)
            check(&spool);
    }
    check(&spool);
    spool_seal(&spool);
    check(&spool);
    spool_done(&spool);
    return 0;
}
