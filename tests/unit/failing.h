// failing: an allocator that fails when it is told to, and counts what is not given back.
//
// The linker sends the program's own malloc and its kin here (--wrap, ld(1)); to jansson it is given by its hooks.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct failing {
    bool counting;    // whether the step under test runs: else nothing fails and nothing is counted
    long countdown;   // 0: none fails; 1: the next one does
    bool failed;      // the one that was to fail did
    long outstanding; // allocations of the step less what it freed
    long count;       // allocations of the step, with what failed
};
extern struct failing failing;

// A step begins, whose N-th allocation fails; it ends.
void failing_begin(long n);
void failing_end(void);

// The first `max` allocations of later steps leave the place they came from: a number that stands for the calls that led
// there. NULL: no longer.
void failing_watch(uint64_t *places, long max);

void *__wrap_malloc(size_t size);
void __wrap_free(void *p);
