// report: what a program of the benchmark measured, on stdout.
#include "tests/bench/report.h"

#include <stdio.h>

#include "common/util.h"

static int report_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void report_print(double *latencies, size_t count, double seconds) {
    qsort(latencies, count, sizeof(*latencies), report_compare);
    size_t p99 = MIN(count * 99 / 100, count - 1);
    printf("{\"count\": %zu, \"seconds\": %.6f, \"per_second\": %.2f, "
           "\"median_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f}\n",
           count, seconds, (double)count / seconds, latencies[count / 2] * 1e6, latencies[p99] * 1e6,
           latencies[count - 1] * 1e6);
}

void report_fail(const char *who, const char *what, int err) {
    fprintf(stderr, "%s: %s%s%s\n", who, what, err ? ": " : "", err ? strerror(err) : "");
    exit(1);
}

size_t report_number(const char *who, const char *what, const char *text) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value == 0 || *text == '-') {
        fprintf(stderr, "%s: %s is no positive number: %s\n", who, what, text);
        exit(2);
    }
    return (size_t)value;
}
