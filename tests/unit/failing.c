// Allocations that fail.
#include "tests/unit/failing.h"

#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 64 }; // calls above one allocation; what is deeper is one place

struct failing failing;

static uint64_t *watched;
static long watched_max;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *p);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **text, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));

void failing_begin(long n) {
    failing = (struct failing){.counting = true, .countdown = n};
}

void failing_end(void) {
    failing.counting = false;
}

void failing_watch(uint64_t *places, long max) {
    void *frame;
    backtrace(&frame, 1); // loads what it needs: not within a step
    watched = places;
    watched_max = max;
}

// FNV-1a over the addresses returned to.
static uint64_t place(void) {
    void *frames[DEPTH_MAX];
    int n = backtrace(frames, DEPTH_MAX);
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uintptr_t)frames[i]) * 1099511628211u;
    return hash;
}

static bool fails_now(void) {
    if (!failing.counting)
        return false;
    if (watched && failing.count < watched_max)
        watched[failing.count] = place();
    failing.count++;
    if (failing.countdown == 0 || --failing.countdown > 0)
        return false;
    return failing.failed = true;
}

static void *counted(void *p) {
    failing.outstanding += failing.counting && p;
    return p;
}

void *__wrap_malloc(size_t size) {
    return fails_now() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails_now() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size) {
    if (fails_now())
        return NULL;
    void *p = __real_realloc(old, size);
    return old ? p : counted(p);
}

char *__wrap_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void __wrap_free(void *p) {
    failing.outstanding -= failing.counting && p;
    __real_free(p);
}

static int print(char **text, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static int print(char **text, const char *format, va_list args) {
    enum { ROOM = 4096 };
    *text = __wrap_malloc(ROOM);
    if (!*text)
        return -1;
    return vsnprintf(*text, ROOM, format, args); // NOLINT(clang-analyzer-valist.Uninitialized)
}

int __wrap_asprintf(char **text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = print(text, format, args);
    va_end(args);
    return n;
}

int __wrap___asprintf_chk(char **text, int flag, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = print(text, format, args);
    va_end(args);
    return n;
}
