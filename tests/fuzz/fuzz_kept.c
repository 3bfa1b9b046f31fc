// fuzz_kept: anything in the memory that a worker has left: the next one finds its way about in it, or says that it can't.
//
// Of the input each piece is written somewhere into the head or the first records; blobs are put between.
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/util.h"
#include "daemon/control/keeping.h"
#include "daemon/control/recovery.h"
#include "daemon/runner/keeping.h"
#include "tests/fuzz/input.h"

enum { RECORDS = 4, FDS_MAX = 64, LONGEST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct scene {
    struct kept kept;
    struct kept_head pristine; // as far as its journal
    void *records[KEPT_KIND_COUNT][RECORDS];
} scene;

static const size_t sizes[] = {KEPT_JOB_SIZE, KEPT_SESSION_SIZE, KEPT_CALL_SIZE};
enum { SCALARS = offsetof(struct kept_head, journal) };

static void scene_open(void) {
    if (kept_new(&scene.kept) < 0 || kept_begin(&scene.kept) < 0)
        exit(1);
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        for (int i = 0; i < RECORDS; i++)
            scene.records[kind][i] = kept_take(&scene.kept, (enum kept_kind)kind, i + 1);
    kept_end(&scene.kept);
    memcpy(&scene.pristine, scene.kept.head, SCALARS);
}

static void reset(void) {
    memcpy(scene.kept.head, &scene.pristine, SCALARS);
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        for (int i = 0; i < RECORDS; i++) {
            memset(scene.records[kind][i], 0, sizes[kind]);
            *(int64_t *)scene.records[kind][i] = i + 1;
        }
}

static char *place(struct input *in, size_t *ret_room) {
    unsigned where = input_byte(in), at = input_byte(in) * 8u, kind = where % 4;
    size_t size = kind < KEPT_KIND_COUNT ? sizes[kind] : SCALARS - offsetof(struct kept_head, journal_end);
    char *base = kind < KEPT_KIND_COUNT ? scene.records[kind][where / 4 % RECORDS]
                                        : (char *)&scene.kept.head->journal_end;
    *ret_room = at < size ? size - at : 0;
    return base + MIN(at, size);
}

static void change(struct input *in) {
    while (in->size > 3) {
        size_t room, n;
        char *to = place(in, &room);
        const uint8_t *piece = input_piece(in, MIN(room, (size_t)input_byte(in) % 64), &n);
        memcpy(to, piece, n);
    }
}

static volatile unsigned sum;

static void look(const struct kept *kept, const struct kept_blob *blob) {
    const char *text = kept_blob_get(kept, blob);
    for (size_t i = 0; text && i < blob->size; i += 97)
        sum += (unsigned char)text[i];
}

static void show_order(const struct order *order) {
    const int64_t total[2] = {1000, 1000};
    int64_t next[2] = {0, 0}, end;
    size_t hint = 0;
    int stream;
    double at;
    while (order_next(order, next, total, &hint, &stream, &end, &at)) {
        if (end <= next[stream])
            abort();
        next[stream] = end;
    }
}

static void jobs(struct runner *runner, struct kept *kept) {
    for (struct kept_job *record = NULL; (record = kept_next(kept, KEPT_JOB, record));) {
        struct start start = {.owner = NULL};
        size_t size;
        look(kept, &record->spec);
        look(kept, &record->secrets);
        runner_record_spec(runner, record, &size);
        runner_record_secrets(runner, record, &start, &size);
        struct order order = {0};
        *(unsigned char *)&record->order_full &= 1; // a bool is one
        if (runner_record_order(runner, record, &order) == 0)
            show_order(&order);
        order_done(&order);
    }
}

static void claim(struct runner *runner, struct kept *kept) {
    runner_claim(runner);
    for (struct kept_session *s = NULL; (s = kept_next(kept, KEPT_SESSION, s));) {
        kept_blob_claim(kept, &s->in);
        kept_blob_claim(kept, &s->out);
        look(kept, &s->in);
        look(kept, &s->out);
    }
    for (struct kept_call *call = NULL; (call = kept_next(kept, KEPT_CALL, call));) {
        kept_blob_claim(kept, &call->more);
        look(kept, &call->more);
    }
}

// As a worker does with what it makes anew.
static void go_on(struct kept *kept) {
    struct kept_session *session = kept_take(kept, KEPT_SESSION, 77);
    if (session) {
        kept_blob_put(kept, &session->in, "some bytes", 10);
        look(kept, &session->in);
        kept_blob_drop(kept, &session->in);
        kept_drop(kept, KEPT_SESSION, session);
    }
    for (int i = 0; kept_journal_peek(kept->head); i++) {
        sum += (unsigned)kept_journal_peek(kept->head)->pid;
        kept_journal_pop(kept->head);
        if (i > KEPT_JOURNAL)
            abort();
    }
    kept_trim(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    int fds[FDS_MAX];
    if (size > LONGEST)
        return 0;
    if (!scene.kept.head)
        scene_open();
    reset();
    change(&in);
    scene.kept.head->keeper = 0;                       // nobody is to be signalled
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++) // as many as there may be: it would take long
        if (scene.kept.head->used[kind] > RECORDS && scene.kept.head->used[kind] <= KEPT_RECORDS)
            scene.kept.head->used[kind] = RECORDS;
    for (int i = 0; i < RECORDS; i++) // a bool is one
        *(unsigned char *)&((struct kept_job *)scene.records[KEPT_JOB][i])->state.tree.ended &= 1;
    if (kept_begin(&scene.kept) == 0) {
        struct runner runner = {.parts = {.kept = &scene.kept}};
        recovery_descriptors(&scene.kept, fds, FDS_MAX);
        claim(&runner, &scene.kept);
        jobs(&runner, &scene.kept);
        go_on(&scene.kept);
    }
    kept_end(&scene.kept);
    return 0;
}
