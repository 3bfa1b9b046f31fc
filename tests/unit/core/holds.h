// holds: an assertion for what is asserted millions of times. libcheck writes down each of its own, passed or not.
#pragma once

#include <check.h>

#define HOLDS(condition)                             \
    do {                                             \
        if (!(condition))                            \
            ck_abort_msg("%s is false", #condition); \
    } while (0)
