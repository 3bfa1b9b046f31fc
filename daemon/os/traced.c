// Letting go of tracees.
#include "daemon/os/traced.h"

#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

bool traced_release(pid_t pid, int status) {
    if (!WIFSTOPPED(status))
        return false;
    int sig = WSTOPSIG(status);
    // Of an exec the kernel tells by a SIGTRAP, which without a tracer is not sent.
    ptrace(PTRACE_DETACH, pid, NULL, (void *)(uintptr_t)(sig == SIGTRAP ? 0 : sig));
    return true;
}
