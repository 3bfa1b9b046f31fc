// failing: an allocator that fails when it is told to, and counts what is not given back.
//
// The linker sends the program's own malloc and its kin here (--wrap, ld(1)); to jansson it is given by its hooks.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct failing {
    bool counting;    // whether the step under test runs: else nothing fails and nothing is counted
    long countdown;   // 0: none fails; 1: the next one does
    bool failed;      // the one that was to fail did
    long outstanding; // allocations of the step less what it freed
};
extern struct failing failing;

// A step begins, whose N-th allocation fails; it ends.
void failing_begin(long n);
void failing_end(void);

void *__wrap_malloc(size_t size);
void __wrap_free(void *p);
