// The C library's heap.
#include "common/heap.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum {
    LARGE = 256 * 1024, // bytes from which on a piece is a mapping of its own, and free memory at the end is given back
    LEAST = 24,         // what the smallest piece has room for; the next ones more by STEP each
    STEP = 16,
    SIZES = 64, // that a thread keeps
    KEPT = 7,   // of each
    RESERVE = 64 * 1024,
};

struct pieces {
    void *all[SIZES * KEPT];
};

static void *reserve;

void *heap_realloc(void *old, long size) {
    if (size == 0) {
        free(old);
        return NULL;
    }
    void *memory = realloc(old, (size_t)size);
    if (!memory) {
        free(reserve);
        reserve = NULL;
        memory = realloc(old, (size_t)size);
    }
    if (!reserve)
        reserve = malloc(RESERVE);
    return memory;
}

void heap_init(void) {
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, LARGE);
    mallopt(M_MXFAST, 0);    // small pieces that are free are put together at once: less of it is torn
    mallopt(M_ARENA_MAX, 1); // other threads allocate next to nothing
}

static void *pieces_free(void *data) {
    struct pieces *pieces = data;
    for (int i = 0; i < SIZES * KEPT; i++)
        free(pieces->all[i]);
    return NULL;
}

// Takes all that this thread keeps, and lets a thread free it that ends then.
static void pieces_return(void) {
    struct pieces *pieces = calloc(1, sizeof(*pieces));
    sigset_t all, before;
    pthread_t thread;
    if (!pieces)
        return;
    for (int i = 0; i < SIZES * KEPT; i++)
        pieces->all[i] = malloc(LEAST + (size_t)(i / KEPT) * STEP);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, pieces_free, pieces) == 0)
        pthread_join(thread, NULL);
    else
        pieces_free(pieces);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(pieces);
}

void heap_rest(void) {
    pieces_return();
    malloc_trim(0);
}
