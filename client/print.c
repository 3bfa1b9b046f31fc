// Printing.
#include "client/print.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "client/terminal.h"
#include "common/buffer.h"
#include "common/bytes.h"
#include "common/units.h"
#include "common/util.h"

bool print_colour(void) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && term && !streq(term, "dumb");
}

void print_error(const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fflush(stdout);
    fputs("supctl: ", stderr);
    print_text(stderr, text);
    fputs(terminal_is_raw() ? "\r\n" : "\n", stderr);
}

void print_json(const json_t *value) {
    size_t ascii = isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0; // U+0080 to U+009F would drive the terminal
    json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(16) | ascii);
    putchar('\n');
}

static const char *string_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

void print_outcome(const json_t *job, char text[64]) {
    const json_t *result = json_object_get(job, "result");
    const char *reason = string_of(result, "reason"), *signal = string_of(result, "signal");
    const json_t *code = json_object_get(result, "exit_code");
    if (streq(reason, "exited"))
        snprintf(text, 64, "exit %d", (int)json_integer_value(code));
    else if (streq(reason, "signaled"))
        snprintf(text, 64, "%s", signal);
    else if (streq(reason, "spawn_failed"))
        snprintf(text, 64, "%s %s", reason, string_of(json_object_get(result, "error"), "errno"));
    else
        snprintf(text, 64, "%s", reason);
}

void print_append_text(struct buffer *line, const char *bytes, size_t size, const char *keep) {
    json_t *valid = json_stringn(bytes, size);
    char escape[8];
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (valid && c == 0xc2 && (unsigned char)bytes[i + 1] < 0xa0)
            buffer_append(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u00%02x", bytes[++i] & 0xff));
        else if ((c < 0x20 && !(c && strchr(keep, c))) || c == 0x7f || (c > 0x7f && !valid))
            buffer_append(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\x%02x", c));
        else
            buffer_append(line, bytes + i, 1);
    }
    json_decref(valid);
}

void print_text(FILE *file, const char *text) {
    struct buffer line = {0};
    print_append_text(&line, text, strlen(text), "");
    fwrite(buffer_head(&line), 1, buffer_size(&line), file);
    buffer_done(&line);
}

void print_append_word(struct buffer *line, const json_t *word) {
    size_t size = 0;
    _cleanup_free_ char *bytes = bytes_from_json(word, &size);
    bool plain = size > 0;
    for (size_t i = 0; i < size; i++)
        plain = plain && !strchr(" \t\n\"'\\$&|;<>()*?`", bytes[i]);
    if (!plain)
        buffer_append(line, "'", 1);
    for (size_t i = 0, end; i < size; i = end + 1) {
        const char *quote = memchr(bytes + i, '\'', size - i);
        end = quote ? (size_t)(quote - bytes) : size;
        print_append_text(line, bytes + i, end - i, "");
        if (quote)
            buffer_append(line, "'\\''", 4);
    }
    if (!plain)
        buffer_append(line, "'", 1);
}

void print_append_command(struct buffer *line, const json_t *job) {
    size_t i;
    json_t *word;
    json_array_foreach(json_object_get(job, "argv"), i, word) {
        if (i > 0)
            buffer_append(line, " ", 1);
        print_append_word(line, word);
    }
    buffer_append(line, "", 1);
}

static const char *state_colour(const json_t *job) {
    const char *state = string_of(job, "state");
    if (!streq(state, "final"))
        return streq(state, "running") ? "\033[32m" : "\033[33m";
    const json_t *result = json_object_get(job, "result");
    bool good = streq(string_of(result, "reason"), "exited") &&
                json_integer_value(json_object_get(result, "exit_code")) == 0;
    return good ? "" : "\033[31m";
}

enum { COLUMNS = 8, COLUMN_USER = 1, COLUMN_STATE = 3, COLUMN_RESULT = 4 }; // before the command

// How long ago, in its largest unit.
static const char *print_age(const json_t *instant, char text[32]) {
    static const struct {
        double seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    double age = MAX(now_wall() - json_number_value(instant), 0);
    size_t u = 0;
    while (u + 1 < ARRAY_SIZE(units) && age < units[u].seconds)
        u++;
    snprintf(text, 32, "%.0f%c", floor(age / units[u].seconds), units[u].letter);
    return text;
}

// Of the deadline that comes first.
static const char *print_left(const json_t *job, char text[32]) {
    const char *name;
    json_t *left;
    double least = INFINITY;
    bool over = json_is_object(json_object_get(job, "result"));
    json_object_foreach(json_object_get(job, "deadlines"), name, left) {
        if (json_is_number(left) && !over)
            least = fmin(least, json_number_value(left));
    }
    if (least < INFINITY)
        units_duration(least, text);
    else
        snprintf(text, 32, "-");
    return text;
}

static void row_fill(const json_t *job, char cells[COLUMNS][64]) {
    char text[32];
    snprintf(cells[0], 64, "%lld", (long long)json_integer_value(json_object_get(job, "id")));
    const json_t *owner = json_object_get(job, "owner");
    snprintf(cells[COLUMN_USER], 64, "%s", string_of(owner, "user"));
    if (!cells[COLUMN_USER][0])
        snprintf(cells[COLUMN_USER], 64, "%lld", (long long)json_integer_value(json_object_get(owner, "uid")));
    snprintf(cells[2], 64, "%s", *string_of(job, "name") ? string_of(job, "name") : "-");
    snprintf(cells[3], 64, "%s", string_of(job, "state"));
    print_outcome(job, cells[4]);
    if (!cells[4][0])
        snprintf(cells[4], 64, "-");
    snprintf(cells[5], 64, "%s", print_age(json_object_get(job, "created_at"), text));
    const json_t *elapsed = json_object_get(job, "elapsed");
    snprintf(cells[6], 64, "%s", json_is_number(elapsed) ? units_duration(json_number_value(elapsed), text) : "-");
    snprintf(cells[7], 64, "%s", print_left(job, text));
}

static size_t terminal_width(void) {
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 0;
}

static void row_print(char cells[COLUMNS][64], const int widths[COLUMNS], const char *colour, const char *command) {
    size_t used = 0;
    for (int c = 0; c < COLUMNS; c++) {
        const char *paint = c == COLUMN_STATE || c == COLUMN_RESULT ? colour : "";
        if (widths[c] == 0)
            continue;
        printf("%s%-*s%s  ", paint, widths[c], cells[c], *paint ? "\033[0m" : "");
        used += (size_t)widths[c] + 2;
    }
    size_t width = terminal_width(), room = width > used + 10 ? width - used : 0;
    size_t shown = room ? bytes_cut(command, MIN(room, strlen(command))) : strlen(command);
    printf("%.*s\n", (int)shown, command);
}

void print_jobs(const json_t *jobs) {
    char head[COLUMNS][64] = {"ID", "USER", "NAME", "STATE", "RESULT", "AGE", "TIME", "LEFT"}, cells[COLUMNS][64];
    int widths[COLUMNS];
    size_t i;
    json_t *job;
    bool own = true; // then nobody needs to be told whose they are
    for (int c = 0; c < COLUMNS; c++)
        widths[c] = (int)strlen(head[c]);
    json_array_foreach(jobs, i, job) {
        own = own && json_integer_value(json_object_get(json_object_get(job, "owner"), "uid")) == (json_int_t)geteuid();
        row_fill(job, cells);
        for (int c = 0; c < COLUMNS; c++)
            widths[c] = MAX(widths[c], (int)strlen(cells[c]));
    }
    if (own)
        widths[COLUMN_USER] = 0;
    bool colour = print_colour();
    row_print(head, widths, "", "COMMAND");
    json_array_foreach(jobs, i, job) {
        struct buffer command = {0};
        row_fill(job, cells);
        print_append_command(&command, job);
        row_print(cells, widths, colour ? state_colour(job) : "", buffer_head(&command));
        buffer_done(&command);
    }
}

static void print_field(const char *path, const char *text) {
    printf("%-31s ", path);
    print_text(stdout, text);
    putchar('\n');
}

static bool is_instant(const char *path, const json_t *value) {
    size_t length = strlen(path);
    return json_is_number(value) && length > 3 && streq(path + length - 3, "_at");
}

static void print_value(const char *path, const json_t *value) {
    char when[32];
    if (json_is_string(value))
        print_field(path, json_string_value(value));
    else if (is_instant(path, value))
        print_field(path, units_instant(json_number_value(value), when));
    else {
        _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        print_field(path, !text || json_is_null(value) ? "-" : text);
    }
}

static void print_tree(const char *prefix, const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char path[256];
        snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && json_object_size(value) > 0)
            print_tree(path, value);
        else
            print_value(path, value);
    }
}

void print_figures(const json_t *object) {
    print_tree("", object);
}
