// reaper_wire: what supd and a tree's reaper say to each other on their SOCK_SEQPACKET pair.
#pragma once

#include <stdint.h>
#include <sys/resource.h>

enum reaper_ask {
    REAPER_SIGNAL_LEADER, // value: the signal
    REAPER_SIGNAL,        // to everybody, once; value: the signal
    REAPER_KILL,          // everybody, until nobody is left
    REAPER_CPU,           // what have all used? An answer may take for ever
};

struct reaper_order {
    int32_t ask, value;
};

enum reaper_told {
    REAPER_EXIT,  // the leader ended: status and usage as of wait4(2)
    REAPER_EMPTY, // nobody is left: the reaper exits
    REAPER_USED,  // the answer to REAPER_CPU: ru_utime is what all have used, ru_stime what finding out has cost
};

struct reaper_report {
    int32_t told, status;
    struct rusage usage;
};
