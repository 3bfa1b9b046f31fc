// report: the one line of JSON on stdout in which each program here says what it measured.
#pragma once

#include <stddef.h>

// `count` latencies in seconds, not empty, are sorted in place; `seconds` is the wall time of all of them.
// Writes count, seconds, per_second, and the median, p99 and max of the latencies in microseconds.
void report_print(double *latencies, size_t count, double seconds);

// Says "who: what: why" on stderr, `why` from `err` where that is not 0, and leaves with 1.
__attribute__((noreturn)) void report_fail(const char *who, const char *what, int err);

// The positive number in `text`, or leaves with 2 naming `what`.
size_t report_number(const char *who, const char *what, const char *text);
