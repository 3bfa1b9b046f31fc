// calls: a library to be loaded before others, in which the N-th call fails that takes memory, or that SQLite is asked for.
//
// SUPD_CALLS: a file of a struct calls. Without it nothing fails. For what the kernel is asked for there is refuser.
#include "tests/calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct calls none, *calls;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SUPD_CALLS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    if (fd >= 0) {
        map = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    calls = map == MAP_FAILED ? &none : map;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static int fails(int kind, const char *function, const char *detail) {
    if (!calls || !calls_fails(calls, kind))
        return 0;
    snprintf(calls->what, sizeof(calls->what), "%s %.80s", function, detail);
    return 1;
}

#define FAIL_MEMORY()                            \
    do {                                         \
        if (fails(CALLS_MEMORY, __func__, "")) { \
            errno = ENOMEM;                      \
            return NULL;                         \
        }                                        \
    } while (0)

void *malloc(size_t size) {
    FAIL_MEMORY();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    FAIL_MEMORY();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    FAIL_MEMORY();
    return __libc_realloc(old, size);
}

int sqlite3_open_v2(const char *path, sqlite3 **ret_db, int flags, const char *vfs) {
    if (!fails(CALLS_DATABASE, __func__, path))
        return REAL(sqlite3_open_v2)(path, ret_db, flags, vfs);
    *ret_db = NULL;
    return SQLITE_CANTOPEN;
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *data, char **error) {
    return fails(CALLS_DATABASE, __func__, sql) ? SQLITE_FULL : REAL(sqlite3_exec)(db, sql, row, data, error);
}

int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int size, sqlite3_stmt **ret_statement, const char **tail) {
    if (!fails(CALLS_DATABASE, __func__, sql))
        return REAL(sqlite3_prepare_v2)(db, sql, size, ret_statement, tail);
    *ret_statement = NULL;
    return SQLITE_IOERR;
}

// What a step has said its statement's end says again.
static sqlite3_stmt *_Atomic stopped;

static int end_of(sqlite3_stmt *statement, int r) {
    return statement && atomic_compare_exchange_strong(&stopped, &statement, NULL) ? SQLITE_IOERR : r;
}

int sqlite3_step(sqlite3_stmt *statement) {
    if (!fails(CALLS_DATABASE, __func__, statement ? sqlite3_sql(statement) : ""))
        return REAL(sqlite3_step)(statement);
    stopped = statement;
    return SQLITE_IOERR;
}

int sqlite3_reset(sqlite3_stmt *statement) {
    return end_of(statement, REAL(sqlite3_reset)(statement));
}

int sqlite3_finalize(sqlite3_stmt *statement) {
    return end_of(statement, REAL(sqlite3_finalize)(statement));
}

int sqlite3_bind_blob(sqlite3_stmt *statement, int at, const void *data, int size, void (*release)(void *)) {
    return fails(CALLS_DATABASE, __func__, "") ? SQLITE_NOMEM
                                               : REAL(sqlite3_bind_blob)(statement, at, data, size, release);
}

int sqlite3_bind_text(sqlite3_stmt *statement, int at, const char *text, int size, void (*release)(void *)) {
    return fails(CALLS_DATABASE, __func__, "") ? SQLITE_NOMEM
                                               : REAL(sqlite3_bind_text)(statement, at, text, size, release);
}

int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *ret_log, int *ret_done) {
    if (fails(CALLS_DATABASE, __func__, ""))
        return SQLITE_IOERR;
    return REAL(sqlite3_wal_checkpoint_v2)(db, name, mode, ret_log, ret_done);
}
