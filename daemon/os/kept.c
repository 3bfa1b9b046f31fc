// Records and blocks in shared memory.
#include "daemon/os/kept.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"

#define KEPT_MAGIC 0x7375706420313a6bull
enum {
    HEAD_SIZE = 2 << 20, // with room for what is to come
    PAGE = 4096,
    BLOCK_SIZE = 256,
    BLOCKS = 1 << 20,
    BLOCK_WORDS = BLOCKS / 64,
    LARGE = 1 << 16, // bytes of a blob whose memory goes back to the kernel at once
};

_Static_assert(sizeof(struct kept_head) <= HEAD_SIZE, "the head has grown out of its place");

static const size_t record_sizes[KEPT_KIND_COUNT] = {
    [KEPT_JOB] = KEPT_JOB_SIZE, [KEPT_SESSION] = KEPT_SESSION_SIZE, [KEPT_CALL] = KEPT_CALL_SIZE};

static size_t table_at(enum kept_kind kind) {
    size_t at = HEAD_SIZE;
    for (int k = 0; k < (int)kind; k++)
        at += record_sizes[k] * KEPT_RECORDS;
    return at;
}

static size_t blocks_at(void) {
    return table_at(KEPT_KIND_COUNT);
}

static size_t kept_size(void) {
    return blocks_at() + (size_t)BLOCK_SIZE * BLOCKS;
}

static void *record_at(const struct kept *k, enum kept_kind kind, uint32_t index) {
    return (char *)k->head + table_at(kind) + record_sizes[kind] * index;
}

static uint32_t record_index(const struct kept *k, enum kept_kind kind, const void *record) {
    return (uint32_t)(((const char *)record - (const char *)record_at(k, kind, 0)) / (ptrdiff_t)record_sizes[kind]);
}

// Nothing of it takes memory before it is written to.
int kept_new(struct kept *ret_kept) {
    int fd = memfd_create("supd-kept", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)kept_size()) < 0)
        fd = fd_close(fd); // a limit of file sizes: then it is there for this process and its workers only
    int flags = MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
    struct kept_head *head = mmap(NULL, kept_size(), PROT_READ | PROT_WRITE, flags, fd, 0);
    if (head == MAP_FAILED) {
        int r = -errno;
        fd_close(fd);
        return r;
    }
    madvise(head, kept_size(), MADV_DONTDUMP);
    head->magic = KEPT_MAGIC;
    head->version = KEPT_FORM;
    head->fd = fd;
    head->news = -1;
    head->first_event = head->next_job = head->next_serial = head->next_file = 1;
    *ret_kept = (struct kept){.head = head};
    return 0;
}

static int kept_map(int fd, struct kept_head **ret_head) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() || st.st_size != (off_t)kept_size())
        return -EINVAL;
    struct kept_head *head = mmap(NULL, kept_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (head == MAP_FAILED)
        return -errno;
    if (head->magic != KEPT_MAGIC || head->version > KEPT_FORM) {
        munmap(head, kept_size());
        return -EINVAL;
    }
    madvise(head, kept_size(), MADV_DONTDUMP);
    *ret_head = head;
    return 0;
}

int kept_inherit(struct kept *ret_kept, int fd) {
    struct kept_head *head = NULL;
    int r = kept_map(fd, &head);
    if (r < 0 || !head)
        return r;
    if (head->fd != fd || head->keeper != getpid()) {
        munmap(head, kept_size());
        return -EINVAL;
    }
    *ret_kept = (struct kept){.head = head};
    return 0;
}

int kept_resume(struct kept *ret_kept, int fd) {
    struct kept_head *head = NULL;
    int r = kept_map(fd, &head);
    if (r < 0 || !head)
        return r;
    head->fd = fd;
    head->keeper = 0;
    head->journal_start = head->journal_end;
    head->slot_count = 0; // they were the dead daemon's
    *ret_kept = (struct kept){.head = head};
    return 0;
}

void kept_end(struct kept *k) {
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        free(k->free[kind].list);
    free(k->blocks_taken);
    *k = (struct kept){.head = k->head};
}

enum { FREE_LEAST = 64 };

static int free_push(struct kept_free *f, uint32_t index) {
    if (f->count == f->capacity) {
        size_t capacity = MAX(f->capacity * 2, (size_t)FREE_LEAST);
        uint32_t *list = realloc(f->list, capacity * sizeof(*list));
        if (!list)
            return -ENOMEM; // it is found again by the next worker
        f->list = list;
        f->capacity = capacity;
    }
    f->list[f->count++] = index;
    return 0;
}

// What a worker could not have left: nothing of it is to be believed.
static bool head_is_sound(const struct kept_head *head) {
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        if (head->used[kind] > KEPT_RECORDS)
            return false;
    bool is_stored = head->store.size <= KEPT_JOB_SIZE && head->store.at >= HEAD_SIZE &&
                     head->store.at <= blocks_at() - head->store.size;
    return (!head->store.armed || is_stored) && head->journal_end - head->journal_start <= KEPT_JOURNAL &&
           head->slot_count >= 0 && head->slot_count <= KEPT_SLOTS;
}

int kept_begin(struct kept *k) {
    struct kept_head *head = k->head;
    if (!head_is_sound(head))
        return -EINVAL;
    if (head->store.armed)
        memcpy((char *)head + head->store.at, head->store.bytes, head->store.size);
    head->store.armed = 0;
    k->blocks_taken = calloc(BLOCK_WORDS, sizeof(*k->blocks_taken));
    if (!k->blocks_taken)
        return -ENOMEM;
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        for (uint32_t i = head->used[kind]; i-- > 0;)
            if (kept_id(record_at(k, kind, i)) == 0 && free_push(&k->free[kind], i) < 0)
                return -ENOMEM;
    return 0;
}

int64_t kept_id(const void *record) {
    return *(const volatile int64_t *)record;
}

static void id_set(void *record, int64_t id) {
    __atomic_store_n((int64_t *)record, id, __ATOMIC_RELEASE);
}

int64_t kept_serial(struct kept *k) {
    return k->head->next_serial++;
}

void *kept_take(struct kept *k, enum kept_kind kind, int64_t id) {
    struct kept_free *f = &k->free[kind];
    uint32_t index;
    if (f->count > 0)
        index = f->list[--f->count];
    else if (k->head->used[kind] < KEPT_RECORDS)
        index = k->head->used[kind];
    else
        return NULL;
    char *record = record_at(k, kind, index);
    memset(record, 0, record_sizes[kind]);
    id_set(record, id);
    k->head->used[kind] = MAX(k->head->used[kind], index + 1);
    return record;
}

void kept_drop(struct kept *k, enum kept_kind kind, void *record) {
    if (!record)
        return;
    id_set(record, 0);
    free_push(&k->free[kind], record_index(k, kind, record));
}

void *kept_next(struct kept *k, enum kept_kind kind, const void *before) {
    uint32_t index = before ? record_index(k, kind, before) + 1 : 0;
    for (; index < k->head->used[kind]; index++)
        if (kept_id(record_at(k, kind, index)) != 0)
            return record_at(k, kind, index);
    return NULL;
}

void kept_store(struct kept *k, void *to, const void *from, size_t size) {
    struct kept_head *head = k->head;
    memcpy(head->store.bytes, from, size);
    head->store.at = (uint64_t)((char *)to - (char *)head);
    head->store.size = (uint32_t)size;
    __atomic_store_n(&head->store.armed, 1, __ATOMIC_RELEASE);
    memcpy(to, from, size);
    __atomic_store_n(&head->store.armed, 0, __ATOMIC_RELEASE);
}

static bool block_taken(const struct kept *k, uint32_t block) {
    return k->blocks_taken[block / 64] >> (block % 64) & 1;
}

static void blocks_mark(struct kept *k, uint32_t block, uint32_t count, bool taken) {
    if (taken)
        k->block_top = MAX(k->block_top, block + count);
    for (uint32_t b = block; b < block + count; b++) {
        if (taken)
            k->blocks_taken[b / 64] |= 1ull << (b % 64);
        else
            k->blocks_taken[b / 64] &= ~(1ull << (b % 64));
    }
}

static void memory_remove(char *from, const char *to) {
    uintptr_t page = PAGE, start = ((uintptr_t)from + page - 1) & ~(page - 1), end = (uintptr_t)to & ~(page - 1);
    if (end > start)
        madvise((void *)start, end - start, MADV_REMOVE);
}

static uint32_t blocks_for(size_t size) {
    return (uint32_t)((size + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

// The first run of free blocks from `from` on, else from the first one on. BLOCKS: none.
static uint32_t blocks_find(const struct kept *k, uint32_t from, uint32_t count) {
    uint32_t run = 0;
    for (uint32_t b = from; b < BLOCKS; b++) {
        if (b % 64 == 0 && k->blocks_taken[b / 64] == ~0ull) {
            run = 0;
            b += 63;
            continue;
        }
        run = block_taken(k, b) ? 0 : run + 1;
        if (run == count)
            return b + 1 - count;
    }
    return from > 0 ? blocks_find(k, 0, count) : BLOCKS;
}

static char *block_at(const struct kept *k, uint32_t block) {
    return (char *)k->head + blocks_at() + (size_t)block * BLOCK_SIZE;
}

static void blob_publish(struct kept_blob *blob, struct kept_blob value) {
    uint64_t word;
    memcpy(&word, &value, sizeof(word));
    __atomic_store_n((uint64_t *)(void *)blob, word, __ATOMIC_RELEASE);
}

void kept_blob_drop(struct kept *k, struct kept_blob *blob) {
    const struct kept_blob old = *blob;
    if (old.size == 0)
        return;
    blob_publish(blob, (struct kept_blob){0});
    blocks_mark(k, old.block, blocks_for(old.size), false);
    k->block_hint = MIN(k->block_hint, old.block);
    if (old.size >= LARGE)
        memory_remove(block_at(k, old.block), block_at(k, old.block) + old.size);
}

int kept_blob_put(struct kept *k, struct kept_blob *blob, const void *bytes, size_t size) {
    if (size == 0) {
        kept_blob_drop(k, blob);
        return 0;
    }
    uint32_t count = blocks_for(size), block = count > BLOCKS / 2 ? BLOCKS : blocks_find(k, k->block_hint, count);
    if (block == BLOCKS)
        return -ENOMEM;
    k->block_hint = block + count;
    blocks_mark(k, block, count, true);
    // A large one is read once, or by the next worker only: as a write it takes no pages of ours now, and no faults.
    char *to = block_at(k, block);
    if (size < LARGE || k->head->fd < 0 || pwrite(k->head->fd, bytes, size, to - (char *)k->head) != (ssize_t)size)
        memcpy(to, bytes, size);
    const struct kept_blob old = *blob;
    blob_publish(blob, (struct kept_blob){.block = block, .size = (uint32_t)size});
    if (old.size > 0)
        blocks_mark(k, old.block, blocks_for(old.size), false);
    return 0;
}

// Those at the end that are free: the table ends where the last one stands that is in use.
static void table_trim(struct kept *k, enum kept_kind kind) {
    uint32_t before = k->head->used[kind], used = before;
    struct kept_free *f = &k->free[kind];
    size_t left = 0;
    while (used > 0 && kept_id(record_at(k, kind, used - 1)) == 0)
        used--;
    if (used == before)
        return;
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i] < used)
            f->list[left++] = f->list[i];
    f->count = left;
    size_t capacity = MAX(left, (size_t)FREE_LEAST);
    uint32_t *list = f->capacity > capacity ? realloc(f->list, capacity * sizeof(*list)) : NULL;
    if (list) {
        f->list = list;
        f->capacity = capacity;
    }
    k->head->used[kind] = used;
    memory_remove(record_at(k, kind, used), (char *)record_at(k, kind, before) + PAGE - 1); // there is none behind it
}

static void blocks_trim(struct kept *k) {
    enum { A_PAGE = PAGE / BLOCK_SIZE };
    uint32_t free_from = BLOCKS, top = (k->block_top + A_PAGE - 1) / A_PAGE * A_PAGE;
    k->block_top = 0;
    for (uint32_t page = 0; page < top; page += A_PAGE) {
        uint64_t mask = ((1ull << A_PAGE) - 1) << (page % 64);
        bool is_free = !(k->blocks_taken[page / 64] & mask);
        if (is_free && free_from == BLOCKS)
            free_from = page;
        if (!is_free && free_from < page)
            memory_remove(block_at(k, free_from), block_at(k, page));
        if (!is_free) {
            free_from = BLOCKS;
            k->block_top = page + A_PAGE;
        }
    }
    if (free_from < top)
        memory_remove(block_at(k, free_from), block_at(k, top));
    k->block_hint = 0; // lower ones first from here on
}

void kept_trim(struct kept *k) {
    for (int kind = 0; kind < KEPT_KIND_COUNT; kind++)
        table_trim(k, (enum kept_kind)kind);
    blocks_trim(k);
}

const char *kept_blob_get(const struct kept *k, const struct kept_blob *blob) {
    return blob->size > 0 ? block_at(k, blob->block) : NULL;
}

char *kept_blob_edit(const struct kept *k, const struct kept_blob *blob) {
    return block_at(k, blob->block);
}

void kept_blob_claim(struct kept *k, struct kept_blob *blob) {
    uint32_t count = blocks_for(blob->size);
    if (count > BLOCKS || blob->block > BLOCKS - count)
        *blob = (struct kept_blob){0};
    else
        blocks_mark(k, blob->block, count, true);
}

bool kept_journal_room(const struct kept_head *head) {
    return head->journal_end - __atomic_load_n(&head->journal_start, __ATOMIC_ACQUIRE) < KEPT_JOURNAL;
}

static uint64_t journal_place(const struct kept_head *head, uint64_t number) {
    return (number - head->journal_base) % KEPT_JOURNAL;
}

void kept_journal_put(struct kept_head *head, pid_t pid, const struct leader_exit *end) {
    if (head->journal_end == __atomic_load_n(&head->journal_start, __ATOMIC_ACQUIRE))
        head->journal_base = head->journal_end;
    head->journal[journal_place(head, head->journal_end)] = (struct kept_end){.pid = pid, .end = *end};
    __atomic_store_n(&head->journal_end, head->journal_end + 1, __ATOMIC_RELEASE);
}

const struct kept_end *kept_journal_peek(const struct kept_head *head) {
    if (head->journal_start == __atomic_load_n(&head->journal_end, __ATOMIC_ACQUIRE))
        return NULL;
    return &head->journal[journal_place(head, head->journal_start)];
}

void kept_journal_pop(struct kept_head *head) {
    bool was_full = !kept_journal_room(head);
    __atomic_store_n(&head->journal_start, head->journal_start + 1, __ATOMIC_RELEASE);
    if (was_full)
        kept_ask(head, KEPT_ASK_ROOM);
}

void kept_ask(struct kept_head *head, unsigned what) {
    if (head->keeper <= 0)
        return;
    __atomic_fetch_or(&head->asks, what, __ATOMIC_SEQ_CST);
    kill(head->keeper, SIGUSR1);
}
