// history: what waits for a file that can't be written.
#include <ftw.h>
#include <sched.h>
#include <stdio.h>

#include "common/util.h"
#include "daemon/store/history_internal.h"
#include "tests/unit/suite.h"

enum { GUARD = 30 }; // seconds; against a hang, never a measure

static char directory[64];
static struct ev_loop *loop;
static struct ev_timer guard;
static struct history *h;
static sqlite3 *other; // connection to the file
static bool troubled;

static void on_committed(int64_t id, bool is_final, void *data) {
}

static void on_dropped(int64_t id, uid_t owner, void *data) {
}

static void on_troubled(const char *why, void *data) {
    troubled = why != NULL;
}

static void on_begun(const char *why, void *data) {
}

static bool is_live(int64_t id, void *data) {
    return false;
}

static void on_guard(struct ev_loop *l, struct ev_timer *timer, int events) {
    ck_abort_msg("nothing came of it");
}

static void run(const char *sql) {
    ck_assert_int_eq(sqlite3_exec(other, sql, NULL, NULL, NULL), SQLITE_OK);
}

// Nothing can be put.
static void refuse(void) {
    run("CREATE TRIGGER refuse BEFORE INSERT ON job BEGIN SELECT RAISE(ABORT, 'full'); END");
}

static void allow(void) {
    run("DROP TRIGGER refuse");
}

static void setup(void) {
    static const struct history_listener listener = {
        .committed = on_committed, .dropped = on_dropped, .troubled = on_troubled, .begun = on_begun};
    strcpy(directory, "/dev/shm/supd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    loop = ev_loop_new(EVFLAG_NOENV);
    ev_timer_init(&guard, on_guard, GUARD, 0);
    ev_timer_start(loop, &guard);
    const struct history_parts parts = {
        .loop = loop,
        .directory = directory,
        .limits = {.jobs = 100, .bytes = INT64_MAX, .owner_jobs = 100, .owner_bytes = INT64_MAX},
        .is_live = is_live,
        .listener = &listener};
    int64_t job = 1, event = 1;
    char *note;
    ck_assert_int_eq(history_open(&parts, &h, &job, &event, &note), 0);
    ck_assert_ptr_null(note);
    char path[96];
    snprintf(path, sizeof(path), "%s/" HISTORY_FILE, directory);
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, GUARD * 1000);
}

static int on_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    return remove(path);
}

static void teardown(void) {
    history_close(h);
    sqlite3_close(other);
    ev_loop_destroy(loop);
    ck_assert_int_eq(nftw(directory, on_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void put(int64_t id, bool is_new) {
    struct history_job *job = calloc(1, sizeof(*job));
    *job = (struct history_job){.id = id, .owner = 1000, .is_new = is_new, .spec = strdup("{}"), .expires_at = 1e12};
    job->is_final = true;
    history_put(h, job);
}

static bool is_found(int64_t id) {
    struct history_job *job = history_find(h, id, HISTORY_ANYBODY);
    history_job_free(job);
    return job != NULL;
}

// Until the thread has tried, if it had something to write.
static void turn(void) {
    ev_run(loop, EVRUN_ONCE);
}

static void settle(size_t left) {
    while (history_waiting(h) != left)
        turn();
}

START_TEST(what_never_came_to_the_file_leaves_nothing_behind) {
    refuse();
    for (int64_t id = 1; id <= 3; id++)
        put(id, true);
    while (!troubled)
        turn();
    history_forget(h, 1);
    history_forget(h, 3);
    settle(1);
    ck_assert(!history_is_forgotten(h, 1));
    ck_assert(!history_is_forgotten(h, 3));
    allow();
    settle(0);
    ck_assert(!troubled);
    ck_assert(!is_found(1));
    ck_assert(is_found(2));
    ck_assert(!is_found(3));
}
END_TEST

START_TEST(nor_does_what_changed_while_it_was_being_written) {
    run("BEGIN IMMEDIATE");
    put(1, true);
    pthread_mutex_lock(&h->writer.lock);
    while (!h->writer.writing) {
        pthread_mutex_unlock(&h->writer.lock);
        sched_yield();
        pthread_mutex_lock(&h->writer.lock);
    }
    pthread_mutex_unlock(&h->writer.lock);
    put(1, false);
    history_forget(h, 1);
    settle(0);
    ck_assert(troubled);
    ck_assert(!history_is_forgotten(h, 1));
    run("ROLLBACK");
}
END_TEST

START_TEST(what_is_in_the_file_stays_forgotten) {
    put(1, true);
    settle(0);
    refuse();
    put(2, true);
    put(3, true);
    while (!troubled)
        turn();
    history_forget(h, 1);
    put(2, false); // with other labels
    history_forget(h, 2);
    settle(2);
    ck_assert(history_is_forgotten(h, 1));
    ck_assert(!is_found(1));
    allow();
    settle(0);
    ck_assert(!history_is_forgotten(h, 1));
    ck_assert(!is_found(1));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("history_waiting");
    TCase *group = suite_case(suite, "waiting", setup, teardown);
    tcase_add_test(group, what_never_came_to_the_file_leaves_nothing_behind);
    tcase_add_test(group, nor_does_what_changed_while_it_was_being_written);
    tcase_add_test(group, what_is_in_the_file_stays_forgotten);
    return suite_run(suite);
}
