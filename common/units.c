// Durations, sizes, instants and signals as text.
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/proto.h"

// A decimal number without sign, hexadecimal or words such as "inf", and what stands behind it.
static int units_number(const char *text, double *ret_number, const char **ret_unit) {
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return -EINVAL;
    size_t digits = strspn(text, "0123456789.");
    char number[64], *end;
    if (digits >= sizeof(number))
        return -EINVAL;
    memcpy(number, text, digits);
    number[digits] = 0;
    double value = strtod(number, &end);
    if (*end || end == number)
        return -EINVAL;
    *ret_number = value;
    *ret_unit = text + digits;
    return 0;
}

int units_parse_duration(const char *text, double *ret_seconds) {
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 0.001}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double number;
    const char *unit;
    if (units_number(text, &number, &unit) < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            *ret_seconds = number * units[i].seconds;
            return 0;
        }
    }
    return -EINVAL;
}

int units_parse_size(const char *text, int64_t *ret_bytes) {
    static const char letters[] = "KMGT";
    double number;
    const char *unit;
    if (units_number(text, &number, &unit) < 0)
        return -EINVAL;
    const char *letter = *unit ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
    if (letter) {
        number = ldexp(number, 10 * (int)(letter - letters + 1));
        unit++;
        unit += *unit == 'i' && unit[1] == 'B';
    }
    unit += *unit == 'B';
    if (*unit || number >= 0x1p63 || number != floor(number))
        return -EINVAL;
    *ret_bytes = (int64_t)number;
    return 0;
}

static int units_parse_date(const char *text, double *ret_instant) {
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                          "%Y-%m-%dT%H:%M:%S"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &tm);
        if (end && !*end) {
            *ret_instant = (double)mktime(&tm);
            return 0;
        }
    }
    return -EINVAL;
}

int units_parse_instant(const char *text, double now, double *ret_instant) {
    double number;
    const char *unit;
    if (text[0] == '@') {
        if (units_number(text + 1, &number, &unit) < 0 || *unit)
            return -EINVAL;
        *ret_instant = number;
        return 0;
    }
    if (units_parse_duration(text, &number) == 0) {
        *ret_instant = now - number;
        return 0;
    }
    return units_parse_date(text, ret_instant);
}

const char *units_parse_signal(const char *text) {
    char name[32], *end;
    long number = strtol(text, &end, 10);
    if (end != text)
        return *end || number < 0 || number > INT_MAX ? NULL : proto_signal_name((int)number);
    snprintf(name, sizeof(name), "%s%s", strncmp(text, "SIG", 3) == 0 ? "" : "SIG", text);
    int known = proto_signal_number(name);
    return known < 0 ? NULL : proto_signal_name(known);
}

const char *units_duration(double seconds, char text[32]) {
    seconds = !(seconds >= 0) ? 0 : fmin(seconds, 1e15); // that no number is none
    if (seconds < 1)
        snprintf(text, 32, "%.0fms", seconds * 1000);
    else if (seconds < 60)
        snprintf(text, 32, "%.2fs", seconds);
    else if (seconds < 3600)
        snprintf(text, 32, "%dm%02ds", (int)seconds / 60, (int)seconds % 60);
    else if (seconds < 86400)
        snprintf(text, 32, "%dh%02dm", (int)seconds / 3600, (int)seconds % 3600 / 60);
    else
        snprintf(text, 32, "%.0fd%02dh", floor(seconds / 86400), (int)(fmod(seconds, 86400) / 3600));
    return text;
}

const char *units_size(int64_t bytes, char text[32]) {
    static const char letters[] = "KMGTPE";
    double size = (double)bytes;
    int power = 0;
    for (; size >= 1024 && letters[power]; power++)
        size /= 1024;
    if (power == 0)
        snprintf(text, 32, "%d", (int)bytes);
    else
        snprintf(text, 32, "%.1f%c", size, letters[power - 1]);
    return text;
}

const char *units_instant(double instant, char text[32]) {
    bool is_far = !(fabs(instant) < 0x1p62); // what no time_t can hold
    time_t seconds = is_far ? 0 : (time_t)instant;
    struct tm tm;
    if (is_far || !localtime_r(&seconds, &tm) || strftime(text, 32, "%F %T", &tm) == 0)
        snprintf(text, 32, is_far ? "@%g" : "@%.0f", instant);
    return text;
}
