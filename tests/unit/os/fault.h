// fault: the N-th system call that takes something (a descriptor, a process, a cgroup) fails, be it libc's, an
// assembler's or a child's that has not exec'ed yet.
//
// A process of its own is asked by the kernel about each of them (seccomp_unotify(2), Linux 5.5).
#pragma once

#include <stdbool.h>

enum { FAULT_ERRNO = 24 }; // EMFILE

// For the rest of this process's life, its later threads and its children. False where the kernel won't; says so
// on stdout. Before anything makes this process a subreaper.
bool fault_open(void);
// The `nth` call from now on fails, from 1; 0: none does.
void fault_arm(int nth);
// Whether it has come to that.
bool fault_happened(void);
