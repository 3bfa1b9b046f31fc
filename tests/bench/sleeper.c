// sleeper: a quiet job. Sleeps for 15 minutes, longer than any run of the benchmark, then exits with 0, so
// that none stays behind for ever where a daemon dies without its jobs.
#include "tests/bench/raw.h"

RAW_MAIN {
    const long span[2] = {900, 0}; // struct timespec: seconds, nanoseconds
    raw_call(SYS_nanosleep, (long)span, 0);
    for (;;)
        raw_call(SYS_exit_group, 0, 0);
}
