// options: the command line of supd, and the paths that follow from it.
#pragma once

#include <stdbool.h>

#include "common/log.h"
#include "daemon/config.h"

struct options {
    char *socket, *state_dir, *runtime_dir, *config; // owned, absolute
    enum log_level log_level;
    double idle_exit; // seconds; 0: never
    bool no_keeper;
    bool system;
    bool describe;
    struct config settings;
};

// Returns 0; 1 where --help or --version was answered; -EINVAL where an error was told on stderr.
int options_parse(int argc, char **argv, struct options *ret_options);
void options_done(struct options *options);
