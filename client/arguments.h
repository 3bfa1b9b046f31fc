// arguments: the options of a command, from one table that both parses and documents them.
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

// `names`: "s,signal" or "signal", as on the command line less the dashes; a NULL ends a table.
struct argument {
    const char *names;
    const char *metavar; // of the value; NULL: a flag
    const char *help;
    int id; // what arguments_next returns, above 0
};

struct arguments {
    int argc;
    char **argv;                   // borrowed; argv[0] is the command
    const struct argument **table; // owned, `count` of them
    size_t count;
    struct option *longs; // owned
    char *shorts;         // owned
};

// What arguments_next returns besides ids.
enum { ARGUMENTS_END = -1, ARGUMENTS_WRONG = -2 };

// Several tables become one; NULL tables are none. `first_word_ends`: what follows the first word that is no option is
// not looked at, as it is another program's. Returns 0 or -ENOMEM.
int arguments_init(struct arguments *arguments, int argc, char **argv, const struct argument *const *tables,
                   size_t table_count, bool first_word_ends);
void arguments_done(struct arguments *arguments);

// The next option: its id, with `ret_value` (NULL for a flag); ARGUMENTS_END, after which argv[optind] is the first
// word that is none; or ARGUMENTS_WRONG with `why` filled.
int arguments_next(struct arguments *arguments, const char **ret_value, char why[512]);

// Prints the options with their help.
void arguments_help(const struct arguments *arguments);
