// keyboard: what is typed at this process's terminal on its way to a job's terminal, whose size follows.
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/call.h"

enum { KEYBOARD_WAITING = 256 };

struct keyboard {
    struct call *call; // borrowed; NULL: not begun
    int64_t job;
    struct ev_io readable;
    struct ev_signal resized, stopped, continued;
    int64_t waiting[KEYBOARD_WAITING]; // calls that the job's terminal has not taken yet
    size_t waiting_count;
    bool can_detach;
    bool prefix;   // the detach key's first half was typed
    bool detached; // the key was typed, or the terminal is gone
    bool gone;     // the terminal is
};

// How to detach, for people.
#define KEYBOARD_DETACH "Ctrl-] d"

// Puts the terminal into raw mode and begins. Returns 0 or a negative errno. Answers to its calls: keyboard_answer.
int keyboard_begin(struct keyboard *keyboard, struct call *call, int64_t job, bool can_detach);
// Returns whether the answer was to one of its calls.
bool keyboard_answer(struct keyboard *keyboard, int64_t id);
// The connection was made anew: answers to earlier calls won't come.
void keyboard_renew(struct keyboard *keyboard);
void keyboard_end(struct keyboard *keyboard); // restores the terminal; one that was not begun is allowed

// Tells the job's terminal the size of this one.
void keyboard_resize(struct call *call, int64_t job);
