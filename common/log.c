// Lines to stderr, each by one write so that writers do not mix.
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/util.h"

int log_level_parse(const char *name, enum log_level *ret_level) {
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"error", LOG_LEVEL_ERROR},
                  {"warning", LOG_LEVEL_WARNING},
                  {"info", LOG_LEVEL_INFO},
                  {"debug", LOG_LEVEL_DEBUG}};
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (streq(levels[i].name, name)) {
            *ret_level = levels[i].level;
            return 0;
        }
    return -EINVAL;
}

// JOURNAL_STREAM names the device and inode that the journal connected stderr to (systemd.exec(5)).
static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char now[64];
    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    snprintf(now, sizeof(now), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return streq(stream, now);
}

void log_init(struct log *log, enum log_level level) {
    *log = (struct log){.level = level, .journal = stderr_is_journal()};
}

static size_t log_prefix(const struct log *log, enum log_level level, char *line, size_t size) {
    if (log->journal)
        return (size_t)snprintf(line, size, "<%d>", (int)level);
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    localtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, size, "%Y-%m-%d %H:%M:%S", &tm);
    return n + (size_t)snprintf(line + n, size - n, ".%03d supd: ", (int)(ts.tv_nsec / 1000000));
}

void log_write(const struct log *log, enum log_level level, const char *format, ...) {
    if (level > log->level)
        return;
    char line[2048];
    size_t n = log_prefix(log, level, line, sizeof(line));
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    n = MIN(n + (size_t)MAX(m, 0), sizeof(line) - 2);
    for (size_t i = 0; i < n; i++) // a line is a line, whatever a client put into it
        if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
            line[i] = '?';
    line[n++] = '\n';
    ssize_t r = write(STDERR_FILENO, line, n);
    (void)r; // there is nowhere left to say it
}
