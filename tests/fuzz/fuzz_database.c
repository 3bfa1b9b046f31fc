// fuzz_database: any bytes as the history's file: it is opened, read, written to, or found to be damaged.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/store/history_file.h"
#include "daemon/store/history_row.h"

enum { ROWS_MAX = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[40], path[64];

static void remove_all(void) {
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[80];
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void leave(void) {
    remove_all();
    rmdir(directory);
}

static void begin(const uint8_t *data, size_t size) {
    if (!path[0]) {
        snprintf(directory, sizeof(directory), "/dev/shm/fuzz-database-XXXXXX");
        if (!mkdtemp(directory))
            exit(1);
        snprintf(path, sizeof(path), "%s/history.db", directory);
        atexit(leave);
    }
    remove_all();
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        exit(1);
}

static void read_rows(struct history_file *f) {
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(f->db, "SELECT " HISTORY_COLUMNS " FROM job WHERE final ORDER BY id DESC", -1, &s, NULL) !=
        SQLITE_OK)
        return;
    for (int i = 0; i < ROWS_MAX && sqlite3_step(s) == SQLITE_ROW; i++)
        history_job_free(history_row_job(s));
    sqlite3_finalize(s);
}

static void write_row(struct history_file *f) {
    char spec[] = "{\"argv\":[\"true\"]}", name[] = "name", value[] = "value", *labels[] = {name, value, NULL};
    struct history_job job = {
        .id = 7, .owner = 1, .spec = spec, .labels = labels, .is_final = true, .expires_at = 1e12};
    if (history_file_put(f, &job, true) == SQLITE_OK)
        history_file_note(f, "next_job", history_file_noted(f, "next_job", 1) + 1);
    uid_t owner;
    history_file_drop(f, 7, &owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct history_file file, reader;
    begin(data, size);
    if (history_file_open(&file, path, true) != SQLITE_OK)
        return 0;
    if (history_file_open(&reader, path, false) == SQLITE_OK) {
        write_row(&file);
        read_rows(&reader);
        history_file_close(&reader);
    }
    history_file_count(&file);
    history_file_close(&file);
    return 0;
}
