// asked: the kernel asks a process of ours about system calls of this one, and that says which of them fail, be they libc's, an
// assembler's or a child's that has not exec'ed yet (seccomp_unotify(2), Linux 5.5).
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

// For the rest of this process's life, its later threads and all its children: of calls for which the filter says
// SECCOMP_RET_USER_NOTIF `fails` tells the errno, or 0: the call is made. It runs in that other process, which is gone once
// nobody is left who could ask. Returns 0 or a negative errno: the kernel won't. Before anything makes this process a subreaper.
int asked_open(const struct sock_fprog *filter, int (*fails)(const struct seccomp_notif *asked));
