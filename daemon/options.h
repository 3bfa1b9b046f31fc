// options: the command line of supd, and the paths that follow from it.
#pragma once

#include <stdbool.h>

#include "common/log.h"
#include "daemon/config.h"

enum { OPTIONS_SETS = 64 };

struct options {
    char *socket, *state_dir, *runtime_dir, *config; // owned, absolute
    enum log_level log_level;
    double idle_exit; // seconds; 0: never
    bool no_keeper;
    bool system;
    bool describe;
    bool check;    // options and settings are sound: that is all that is asked
    char **argv;   // borrowed: what we were called with
    char *program; // owned: what was called, as it was named then
    struct config settings;
    bool config_given;
    const char *sets[OPTIONS_SETS]; // of --set, borrowed from argv
    int set_count;
};

// Returns 0; 1 where --help or --version was answered; -EINVAL where an error was told on stderr.
int options_parse(int argc, char **argv, struct options *ret_options);
// Reads the settings again, as they would be at a start now. Returns 0 or -EINVAL with `why`.
int options_reload(const struct options *options, struct config *ret_config, char why[256]);
void options_done(struct options *options);
