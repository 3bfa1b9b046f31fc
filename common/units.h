// units: durations, sizes, instants and signals as people write and read them. Pure but for the local time zone.
#pragma once

#include <stddef.h>
#include <stdint.h>

// "30", "1.5h", "200ms": a number with ms, s, m, h or d; none is seconds. Returns 0 or -EINVAL.
int units_parse_duration(const char *text, double *ret_seconds);
// "4096", "512K", "1.5G": a number with K, M, G or T (powers of 1024; KiB, KB are the same). Returns 0 or -EINVAL.
int units_parse_size(const char *text, int64_t *ret_bytes);
// "2026-11-23", "2026-11-23 10:30[:15]" (or T between) in local time, "@SECONDS" since the epoch, or a duration:
// that long before `now`. Returns 0 or -EINVAL.
int units_parse_instant(const char *text, double now, double *ret_instant);
// "TERM", "SIGTERM" or "15": the name with SIG, of static duration; NULL: no such signal.
const char *units_parse_signal(const char *text);

// Short forms for tables: "1.25s", "3m05s", "2h10m"; "12.3M"; "2026-11-23 10:30:15" in local time. They return `text`.
const char *units_duration(double seconds, char text[32]);
const char *units_size(int64_t bytes, char text[32]);
const char *units_instant(double instant, char text[32]);
