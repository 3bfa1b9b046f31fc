// fuzz_row: a row of the history with anything in any column, and a file of any length beside it: it is a job that can be
// shown and read to its end, or it is none.
//
// Of the input each piece is a column, what kind of value is in it, and the value; the columns not named have a good one.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/schema.h"
#include "common/util.h"
#include "daemon/control/archive.h"
#include "daemon/control/chunks.h"
#include "daemon/control/record.h"
#include "daemon/store/history_internal.h"
#include "daemon/store/history_row.h"
#include "tests/fuzz/input.h"

enum { STEPS_MAX = 20000, OUTPUT_SIZE = 300, PIECE_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch[65536];

static struct scene {
    struct control control;
    struct history history;
    struct ev_loop *loop;
    char path[32];
    sqlite3_stmt *insert;
} scene;

// Good values, in the order of the columns: text in quotes, blobs as x'..'.
static const char good[] =
    "INSERT OR REPLACE INTO job VALUES (1, 1000, 'name', 'key', '{\"argv\": [\"true\"], \"cwd\": \"/\", \"owner\": "
    "\"o\"}',"
    "1, 4711, 1, 100.5, 101.5, 102.5, 1, 1e12, 1, -1, 0, -1, 1, 3, 0, 0, 0.25, 0.5, 4096, 1, 2, 3, 4, 0, 0,"
    "x'6712000068120000', 0, 0, 8, 8, 8, -1, 40, 40, x'30313233343536373839616263646566', 0,"
    "100, 100, 100, -1, 300, 300, NULL, 1, 600,"
    "x'000000000000000000000000004059400000000000000000"
    "000000000000000000000000004059400100000000000000"
    "080000000000000000000000004059400000000000000000', 0, 0, 100, -1, 300)";

static void scene_close(void) {
    char text[64];
    snprintf(text, sizeof(text), "%s/1.2", scene.path);
    unlink(text);
    rmdir(scene.path);
}

static void nothing_job(struct job *job, void *data) {
}

static void gone(struct job *job, void *data) {
    archive_gone(data, job);
}

static const struct runner_listener nobody = {.forgotten = nothing_job, .left = nothing_job, .gone = gone};

static void scene_open(void) {
    const struct owner_limits shares = {.output_bytes = 1 << 30};
    struct control *c = &scene.control;
    snprintf(scene.path, sizeof(scene.path), "/dev/shm/fuzz-row-XXXXXX");
    if (!mkdtemp(scene.path))
        exit(1);
    atexit(scene_close);
    scene.loop = ev_loop_new(EVFLAG_AUTO);
    scene.history.writer.output = scene.path;
    c->history = &scene.history;
    c->owners = owners_new(1000, &shares);
    c->registry = registry_new(1);
    const struct spool_host_parts parts = {
        .path = scene.path, .name = strrchr(scene.path, '/') + 1, .cap = 1 << 30, .scratch = scratch};
    if (spool_host_new(&parts, &c->spools) < 0)
        exit(1);
    const struct runner_parts runner = {
        .loop = scene.loop, .owners = c->owners, .registry = c->registry, .spools = c->spools};
    if (runner_new(&runner, &nobody, c, &c->runner) < 0 ||
        sqlite3_open(":memory:", &scene.history.reader.db) != SQLITE_OK ||
        sqlite3_exec(scene.history.reader.db, "CREATE TABLE job (" HISTORY_COLUMNS ", PRIMARY KEY (id))", NULL, NULL,
                     NULL) != SQLITE_OK)
        exit(1);
}

static void update(const char *column, struct input *in) {
    static const int64_t numbers[] = {0, 1, -1, 2, 7, 4096, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 1LL << 53};
    static const double reals[] = {-1, 1e300, -1e300, 1e10, INFINITY, -INFINITY};
    char sql[128];
    sqlite3_stmt *s;
    size_t n;
    snprintf(sql, sizeof(sql), "UPDATE job SET %s = ?", column);
    if (sqlite3_prepare_v2(scene.history.reader.db, sql, -1, &s, NULL) != SQLITE_OK)
        abort();
    unsigned kind = input_byte(in) % 7;
    if (kind == 0)
        sqlite3_bind_int64(s, 1, numbers[input_byte(in) % ARRAY_SIZE(numbers)]);
    else if (kind == 1)
        sqlite3_bind_int64(s, 1, input_number(in));
    else if (kind == 2)
        sqlite3_bind_int64(s, 1, input_byte(in));
    else if (kind == 3)
        sqlite3_bind_double(s, 1, reals[input_byte(in) % ARRAY_SIZE(reals)]);
    else if (kind < 6) {
        size_t size = input_byte(in) + 256 * (size_t)(input_byte(in) % 16);
        const uint8_t *piece = input_piece(in, size, &n);
        if (kind == 4)
            sqlite3_bind_text(s, 1, (const char *)piece, (int)n, SQLITE_TRANSIENT);
        else
            sqlite3_bind_blob(s, 1, piece, (int)n, SQLITE_TRANSIENT);
    }
    sqlite3_step(s);
    sqlite3_finalize(s);
}

// Like the file of stderr, of that many bytes.
static void write_output(size_t size) {
    char path[64], text[OUTPUT_SIZE * 2];
    snprintf(path, sizeof(path), "%s/1.2", scene.path);
    memset(text, 'x', sizeof(text));
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        exit(1);
}

static void change(struct input *in) {
    static const char columns[] = HISTORY_COLUMNS;
    while (in->size > 1) {
        unsigned column = input_byte(in);
        char name[32];
        const char *at = columns;
        if (column % 64 >= HISTORY_COLUMN_COUNT) {
            write_output((size_t)input_byte(in) * 2);
            continue;
        }
        for (unsigned i = 0; i < column % 64; i++)
            at = strchr(at, ',') + 2;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ","), at);
        update(name, in);
    }
}

static void show(struct job *job) {
    struct schema_error error;
    json_t *record = record_job(&scene.control, job, 64, 1e9);
    if (schema_check_result(&proto_job_type, record, &error) < 0) {
        fprintf(stderr, "%s: %s\n", error.field, error.why);
        abort();
    }
    json_decref(record);
}

// All of it by pieces, from offset on. What is told is in order, and comes to an end.
static void read_all(const struct job *job, bool bare, size_t limit) {
    struct cursor cursor = {.mask = 3, .bare = bare};
    for (int step = 0; chunks_waiting(job, &cursor); step++) {
        const int64_t before[2] = {cursor.next[0], cursor.next[1]};
        json_decref(chunks_build(job, &cursor, limit));
        if (cursor.next[0] < before[0] || cursor.next[1] < before[1])
            abort();
        if (cursor.next[0] == before[0] && cursor.next[1] == before[1]) {
            fprintf(stderr, "nothing more comes at %lld and %lld\n", (long long)before[0], (long long)before[1]);
            abort();
        }
        if (step > STEPS_MAX)
            return; // a long one
    }
}

static void export(const struct job *job) {
    int64_t extents[2][2];
    int count;
    for (int s = 0; s < STREAM_COUNT; s++) {
        int fd = runner_export(job, s, extents, &count);
        if (fd >= 0)
            close(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    if (size > PIECE_MAX)
        return 0;
    if (!scene.loop)
        scene_open();
    write_output(OUTPUT_SIZE);
    if (sqlite3_exec(scene.history.reader.db, "DELETE FROM job", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(scene.history.reader.db, good, NULL, NULL, NULL) != SQLITE_OK)
        abort();
    change(&in);
    struct job *job = archive_find(&scene.control, 1, HISTORY_ANYBODY);
    if (!job && size == 0)
        abort(); // the good one
    if (job) {
        show(job);
        read_all(job, false, 50);
        read_all(job, true, 1 << 20);
        export(job);
    }
    struct job *other = archive_find_name(&scene.control, 1000, "name");
    if (other)
        show(other);
    archive_release(&scene.control);
    return 0;
}
