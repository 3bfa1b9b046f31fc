// log: lines to stderr, with <N> priorities where stderr is the journal (sd-daemon(3)).
#pragma once

#include <stdbool.h>

// syslog(3) priorities.
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

struct log {
    enum log_level level; // the least urgent that is written
    bool journal;         // stderr is the journal: prefix priorities, leave time to it
};

// `name`: "error", "warning", "info" or "debug". Returns 0 or -EINVAL.
int log_level_parse(const char *name, enum log_level *ret_level);
void log_init(struct log *log, enum log_level level);
__attribute__((format(printf, 3, 4))) void log_write(const struct log *log, enum log_level level, const char *format,
                                                     ...);
#define log_error(log, ...) log_write(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_write(log, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...) log_write(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_write(log, LOG_LEVEL_DEBUG, __VA_ARGS__)
