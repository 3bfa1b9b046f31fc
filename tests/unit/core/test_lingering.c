// lingering: what others have open of a log that is gone takes its owner's room until they have it no more.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/store/lingering.h"
#include "daemon/store/spool_host.h"
#include "tests/unit/core/holds.h"
#include "tests/unit/suite.h"

enum { UID = 1000, SIZE = 60000, LIMIT = 100000, CAP = 150000 };

static const struct owner_limits limits = {.output_bytes = LIMIT};
static char scratch[65536];
static char top[64];     // on a tmpfs
static double now, step; // on a clock that goes on by a step a look
static struct spool_host *host;
static struct owners *owners;
static struct owner *ann;

static double now_stepped(void) {
    return now += step;
}

static void host_open(bool resumed) {
    const struct spool_host_parts parts = {
        .path = top, .name = "unused", .cap = CAP, .scratch = scratch, .resumed = resumed, .now = now_stepped};
    owners = owners_new(500, &limits);
    ck_assert_ptr_nonnull(owners);
    ck_assert_int_eq(spool_host_new(&parts, &host), 0);
}

static void setup(void) {
    strcpy(top, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    step = 1;
    host_open(false);
    ann = owner_get(owners, UID);
}

static void none(struct claimant *claimant) {
}

static void teardown(void) {
    spool_host_free(host);
    owners_free(owners, none);
    ck_assert_int_eq(rmdir(top), 0); // nothing was left there
}

static void begin(struct spool *spool, int64_t size) {
    spool_init(spool, host, size, 0, -1);
    spool->share = &ann->output;
}

static void fill(struct spool *spool, int64_t size) {
    while (spool->total < size) {
        size_t room;
        char *to = spool_room(spool, (size_t)(size - spool->total), INT64_MAX, &room);
        HOLDS(room > 0);
        memset(to, 'x', room);
        spool_commit(spool, room);
    }
    spool_seal(spool);
}

// A log of which somebody has a descriptor, and which is gone. Returns the descriptor.
static int leave(int64_t size) {
    struct spool spool;
    begin(&spool, size);
    ck_assert_int_eq(spool_share(&spool), 0);
    fill(&spool, size);
    int fd = spool_open(&spool);
    ck_assert_int_ge(fd, 0);
    spool_done(&spool);
    return fd;
}

// How much of a log is stored.
static int64_t stored(int64_t size) {
    struct spool spool;
    begin(&spool, size);
    fill(&spool, size);
    int64_t bytes = spool.stored;
    spool_done(&spool);
    return bytes;
}

START_TEST(it_takes_room_until_it_is_closed) {
    int fd = leave(SIZE);
    ck_assert_int_eq(ann->output.used, SIZE);
    ck_assert_int_eq(spool_host_stored(host), SIZE);
    ck_assert_int_lt(stored(SIZE), SIZE);
    char last;
    ck_assert_int_eq(pread(fd, &last, 1, SIZE - 1), 1); // it is theirs, whole
    fd_close(fd);
    ck_assert(spool_host_lingers(host));
    ck_assert_int_eq(stored(SIZE), SIZE); // looked at as there was no room
    ck_assert_int_eq(ann->output.used, 0);
    ck_assert_int_eq(spool_host_stored(host), 0);
    ck_assert(!spool_host_lingers(host));
}
END_TEST

// However many logs have no room.
START_TEST(it_is_not_looked_in_vain_all_the_time) {
    int fd = leave(SIZE);
    ck_assert_int_lt(stored(SIZE), SIZE);
    step = 0;
    fd_close(fd);
    ck_assert_int_lt(stored(SIZE), SIZE);
    ck_assert_int_eq(ann->output.used, SIZE);
    now += 399e-6;
    ck_assert_int_lt(stored(SIZE), SIZE);
    now += 2e-6;
    ck_assert_int_eq(stored(SIZE), SIZE);
}
END_TEST

START_TEST(what_is_closed_before_takes_none) {
    struct spool spool;
    begin(&spool, SIZE);
    ck_assert_int_eq(spool_share(&spool), 0);
    fill(&spool, SIZE);
    fd_close(spool_open(&spool));
    spool_done(&spool);
    ck_assert_int_eq(ann->output.used, 0);
    ck_assert(!spool_host_lingers(host));
}
END_TEST

START_TEST(a_descriptor_of_a_final_log_is_no_other) {
    struct spool spool;
    int64_t extents[2][2];
    int count;
    begin(&spool, SIZE);
    fill(&spool, SIZE);
    int fd = spool_export(&spool, host, &ann->output, extents, &count);
    ck_assert_int_ge(fd, 0);
    spool_done(&spool);
    ck_assert_int_eq(ann->output.used, SIZE);
    fd_close(fd);
    ck_assert(spool_host_look(host, NULL));
    ck_assert_int_eq(ann->output.used, 0);
}
END_TEST

// What has a gap is copied, each time anew.
START_TEST(a_copy_counts_as_well) {
    struct spool spool;
    int64_t extents[2][2];
    int count;
    char piece[20];
    spool_init(&spool, host, SIZE / 2, SIZE / 4, -1);
    spool.share = &ann->output;
    fill(&spool, 2L * SIZE);
    int64_t own = ann->output.used, copy = (SIZE / 4L * 3 + 4095) / 4096 * 4096;
    int fd = spool_export(&spool, host, &ann->output, extents, &count);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(extents[1][0], 2L * SIZE - SIZE / 4);
    ck_assert_int_eq(ann->output.used, own + copy);
    ck_assert_int_eq(spool_host_stored(host), own + copy);
    ck_assert_int_eq(spool_export(&spool, host, &ann->output, extents, &count), -EDQUOT);
    ck_assert_int_eq(ann->output.used, own + copy);
    spool_done(&spool);
    ck_assert_int_eq(pread(fd, piece, 20, SIZE / 4 * 3 - 20), 20);
    ck_assert_int_lt(write(fd, piece, 1), 0);
    fd_close(fd);
    ck_assert(spool_host_look(host, NULL));
    ck_assert_int_eq(spool_host_stored(host), 0);
}
END_TEST

START_TEST(a_copy_of_nothing_takes_nothing) {
    struct spool spool;
    int64_t extents[2][2];
    int count;
    begin(&spool, SIZE);
    spool_seal(&spool);
    int fd = spool_export(&spool, host, &ann->output, extents, &count);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(count, 0);
    ck_assert(!spool_host_lingers(host));
    fd_close(fd);
    spool_done(&spool);
}
END_TEST

START_TEST(a_mapping_has_it_open) {
    int fd = leave(SIZE);
    char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    fd_close(fd);
    ck_assert(!spool_host_look(host, NULL));
    ck_assert_int_eq(map[SIZE - 1], 'x'); // not cut short
    ck_assert_int_eq(ann->output.used, SIZE);
    munmap(map, SIZE);
    ck_assert(spool_host_look(host, NULL));
}
END_TEST

START_TEST(who_has_its_name_alone_keeps_no_memory) {
    int fd = leave(SIZE);
    char path[32];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int name = open(path, O_PATH | O_CLOEXEC);
    ck_assert_int_ge(name, 0);
    fd_close(fd);
    ck_assert(spool_host_look(host, NULL));
    ck_assert_int_eq(fstat(name, &st), 0);
    ck_assert_int_eq(st.st_blocks, 0);
    fd_close(name);
}
END_TEST

START_TEST(it_counts_for_all_of_the_daemon) {
    struct owner *bob = owner_get(owners, UID + 1);
    int fds[] = {leave(SIZE), 0};
    struct owner *other = ann;
    ann = bob;
    fds[1] = leave(SIZE);
    ck_assert_int_eq(spool_host_stored(host), 2L * SIZE);
    ck_assert_int_lt(stored(LIMIT - SIZE), LIMIT - SIZE);
    fd_close(fds[0]); // of the other
    ck_assert_int_eq(stored(LIMIT - SIZE), LIMIT - SIZE);
    ck_assert_int_eq(other->output.used, 0);
    ck_assert_int_eq(bob->output.used, SIZE);
    fd_close(fds[1]);
    owner_release(owners, bob);
}
END_TEST

// The next worker finds what the last one left, by its name; it has more room to keep it there.
START_TEST(the_next_worker_counts_it) {
    int held = leave(SIZE), closed = leave(LIMIT - SIZE);
    struct spool_host *before = host;
    struct owners *owners_before = owners;
    fd_close(closed);
    host_open(true);
    spool_host_settle(host, owners);
    ann = owner_find(owners, UID); // though nobody refers to them
    ck_assert_ptr_nonnull(ann);
    ck_assert_int_ge(ann->output.used, SIZE);
    ck_assert_int_lt(ann->output.used, SIZE + 4096);
    ck_assert_int_eq(spool_host_stored(host), ann->output.used);
    ck_assert_int_lt(stored(SIZE), SIZE);
    fd_close(held);
    ck_assert_int_eq(stored(SIZE), SIZE);
    ck_assert_int_eq(spool_host_stored(host), 0);
    spool_host_free(before);
    owners_free(owners_before, none);
}
END_TEST

// A worker that died before it gave it its name: only the daemon's cap has it.
START_TEST(one_of_nobody_known_counts_for_the_daemon) {
    uint64_t number;
    int fd = spool_host_create(host, &number);
    ck_assert_int_eq(posix_fallocate(fd, 0, LIMIT), 0);
    struct spool_host *before = host;
    struct owners *owners_before = owners;
    host_open(true);
    spool_host_settle(host, owners);
    ck_assert_int_ge(spool_host_stored(host), LIMIT);
    fd_close(fd);
    ck_assert(spool_host_look(host, NULL));
    ck_assert_int_eq(spool_host_stored(host), 0);
    spool_host_free(before);
    owners_free(owners_before, none);
}
END_TEST

START_TEST(of_one_owner_there_are_so_many) {
    int fds[LINGERING_MOST], count;
    int64_t extents[2][2];
    for (int i = 0; i < LINGERING_MOST; i++)
        fds[i] = leave(10);
    struct spool spool;
    begin(&spool, SIZE);
    ck_assert_int_eq(spool_share(&spool), -EUSERS);
    fill(&spool, SIZE);
    ck_assert_int_eq(spool.stored, SIZE); // else it is as any other
    ck_assert_int_eq(spool_export(&spool, host, &ann->output, extents, &count), -EUSERS);
    fd_close(fds[0]);
    int fd = spool_export(&spool, host, &ann->output, extents, &count);
    ck_assert_int_ge(fd, 0);
    fd_close(fd);
    spool_done(&spool);
    for (int i = 1; i < LINGERING_MOST; i++)
        fd_close(fds[i]);
    ck_assert(spool_host_look(host, &ann->output));
    ck_assert_int_eq(ann->output.used, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lingering");
    TCase *group = suite_case(suite, "files", setup, teardown);
    tcase_add_test(group, it_takes_room_until_it_is_closed);
    tcase_add_test(group, it_is_not_looked_in_vain_all_the_time);
    tcase_add_test(group, what_is_closed_before_takes_none);
    tcase_add_test(group, a_descriptor_of_a_final_log_is_no_other);
    tcase_add_test(group, a_copy_counts_as_well);
    tcase_add_test(group, a_copy_of_nothing_takes_nothing);
    tcase_add_test(group, a_mapping_has_it_open);
    tcase_add_test(group, who_has_its_name_alone_keeps_no_memory);
    tcase_add_test(group, it_counts_for_all_of_the_daemon);
    tcase_add_test(group, the_next_worker_counts_it);
    tcase_add_test(group, one_of_nobody_known_counts_for_the_daemon);
    tcase_add_test(group, of_one_owner_there_are_so_many);
    return suite_run(suite);
}
