// child: what a process does between its clone and its exec.
//
// It may share the daemon's memory (CLONE_VM), so it makes system calls only: nothing that allocates, locks
// or runs handlers. Every signal is blocked when it begins.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>

#include "daemon/os/plan.h"

// Where the descriptors of one launcher stand. They are low, reserved at the start and only ever overwritten.
enum { SLOT_IN, SLOT_OUT, SLOT_ERR, SLOT_CONTROL, SLOT_PROGRAM, SLOT_EXEC, SLOT_COUNT };

enum { CHILD_TIMER_SLACK = 50000 }; // nanoseconds: what the kernel gives the first process

struct child_setup {
    int slots[SLOT_COUNT];
    uint64_t ignored;                   // signals to set to default: bit n - 1 for signal n
    struct rlimit limits[RLIM_NLIMITS]; // of them, those to set: what is the daemon's own
    unsigned sets_limits;               // a bit each
    bool reset_oom;                     // its own oom_score_adj is not to be inherited
    bool resets_schedule;               // nor its nice value, scheduling policy, priority of I/O and timer slack
    bool drops_caps;                    // nor its inheritable and ambient capabilities
    bool resets_securebits;             // nor what keeps capabilities over a change of user
    bool leaves_keyring;                // nor its session keyring
    bool join;                          // SLOT_PROGRAM is a cgroup.procs to join
};

void child_setup_signals(struct child_setup *setup); // that are not at their defaults now, or may come to be handled
bool child_setup_oom(void);                          // whether our oom_score_adj is not 0
bool child_setup_schedule(void);                     // whether we have another place in the queues than a login
// Personality, policies of memory and what is dumped of it: ours become those of a login, as we have no need of others. For
// this thread, and those that it starts from here on.
void child_setup_memory(void);
// Limits as they are now. `standard`: not ours, but those that a machine's services are started with.
int child_setup_limits(struct child_setup *setup, bool standard);
void child_setup_privileges(struct child_setup *setup, bool shared); // what we have of capabilities and keys

// What comes back, in memory that parent and child share.
struct child_report {
    enum launch_stage stage;
    int error;
    volatile pid_t leader; // set by the clone
    volatile pid_t holder; // the reaper, where there is one
    // The leader is to be killed. Whoever sets it kills `leader` afterwards, if that is there by then: else the
    // leader finds this when it begins, and kills itself.
    volatile bool doomed;
    volatile bool isolated, holder_isolated; // they have descriptor tables of their own
};

// Leaves the calling process a descriptor table of its own, with 0 to 2 and the slots only. Returns 0 or a negative errno.
int child_isolate(const struct child_setup *setup);

// Turns into the program of the plan, or fills the report and exits.
_Noreturn void child_run(const struct plan *plan, const struct child_setup *setup, struct child_report *report);
