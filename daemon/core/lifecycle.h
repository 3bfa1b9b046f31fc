// lifecycle: what happens to one attempt, as a pure function: (state, event, now) gives (state, actions).
//
// No system call, no clock, no timer: `now` is a number (monotonic seconds) that the caller passes in, and
// lifecycle_next() says when to come back with lifecycle_time(). So deadlines, kills and drains are tested
// by counting.
//
//   starting ──started──▶ running ──exit──▶ ended ──streams and tree done──▶ final
//       │                    │                ▲
//       │                    └─stop─▶ stopping ┘        (failed launch: starting ──▶ final)
#pragma once

#include <stdbool.h>

#include "daemon/core/outcome.h"
#include "daemon/core/spec.h"

#define LIFECYCLE_DRAIN 0.1       // how long the streams may stay open after the leader's end
#define LIFECYCLE_UNKILLABLE 10.0 // how long a killed tree may take to go before its survivors are named
#define LIFECYCLE_LAUNCH 30.0     // how long a launch may be stuck before its exec
#define LIFECYCLE_CPU_STEP 0.02   // the shortest time between two looks at the CPU clock,
#define LIFECYCLE_CPU_REST 50     // or so many times what the last one cost,
#define LIFECYCLE_CPU_MOST 5.0    // but not more

enum life_state { LIFE_STARTING, LIFE_RUNNING, LIFE_ENDED, LIFE_FINAL };

struct lifecycle {
    // What the spec says.
    double timeout, idle_timeout, cpu_timeout; // 0: none
    enum spec_descendants descendants;
    int stop_signal;
    double grace;
    int cpus; // of the machine: how fast CPU time can pass

    // Where it stands.
    enum life_state state;
    bool stopping;       // a stop is under way
    bool signal_pending; // its signal waits for the launch
    bool killed;         // SIGKILL is sent
    bool streams_over, tree_over, unproven, closed, launch_expired;
    struct cause cause;
    int signal;     // of the stop
    double begun;   // the launch is known to be under way since; 0: not
    double kill_at; // INFINITY: no
    double ended;   // the leader ended
    double tree_over_at;
    double last_output, held_since, released; // held_since 0: not held; released: when that ended last
    double cpu_used, cpu_next, cpu_step;
};

enum life_action {
    LIFE_SIGNAL = 1,     // send lifecycle.signal and SIGCONT to the tree
    LIFE_KILL = 2,       // SIGKILL the tree, or the launch where there is no tree yet
    LIFE_CANCEL = 4,     // take the launch back if it has not begun (else nothing)
    LIFE_CLOSE = 8,      // close the streams: nothing more is read
    LIFE_CHECK_CPU = 16, // measure, then lifecycle_cpu()
    LIFE_FINISH = 32,    // the job is final: make its result
};

void lifecycle_init(struct lifecycle *life, const struct spec *spec, int cpus);

// Events. Each returns the actions to take, in the order of their values.
unsigned lifecycle_begun(struct lifecycle *life, double at); // the clone was made
unsigned lifecycle_started(struct lifecycle *life, double now);
unsigned lifecycle_failed(struct lifecycle *life, double now); // also: taken back
unsigned lifecycle_stop(struct lifecycle *life, double now, struct cause cause, int signal, double grace);
unsigned lifecycle_exit(struct lifecycle *life, double now);
unsigned lifecycle_tree_over(struct lifecycle *life, double now, bool proven);
unsigned lifecycle_streams_over(struct lifecycle *life, double now);
unsigned lifecycle_time(struct lifecycle *life, double now);
unsigned lifecycle_cpu(struct lifecycle *life, double now, double used, double cost); // seconds; finding out costs some
// New deadlines, in seconds from now; 0 removes one, below 0 leaves it as it is.
unsigned lifecycle_update(struct lifecycle *life, double now, double timeout, double idle_timeout);
void lifecycle_output(struct lifecycle *life, double now);
// A follower that must not lose anything holds the pipes back, or does so no more: idle_timeout and the
// drain stand still.
void lifecycle_hold(struct lifecycle *life, double now, bool held);

// When lifecycle_time() is to be called next: absolute, INFINITY for never.
double lifecycle_next(const struct lifecycle *life, double now);

// Seconds left of a deadline: INFINITY where there is none.
double lifecycle_left_timeout(const struct lifecycle *life, double now);
double lifecycle_left_idle(const struct lifecycle *life, double now);
double lifecycle_left_cpu(const struct lifecycle *life);
