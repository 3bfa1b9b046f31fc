// tiny: exits with 0 and does nothing else. What a run of it costs is what its supervisor costs.
#include "tests/bench/raw.h"

RAW_MAIN {
    for (;;)
        raw_call(SYS_exit_group, 0, 0);
}
