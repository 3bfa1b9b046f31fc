// traced: children that have made us their tracer, which each may do unasked (ptrace(2), PTRACE_TRACEME). wait(2) then tells
// us of their stops as it does of ends, whatever it was asked for.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

// Whether what wait told of a child is such a stop. The child is traced no more then, and goes on with its signal.
bool traced_release(pid_t pid, int status);
