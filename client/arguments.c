// Options by table, over getopt_long.
#include "client/arguments.h"

#include <stdio.h>

#include "common/util.h"

enum { ARGUMENTS_LONG = 1000 }; // getopt's value of the first long option

static const char *argument_long(const struct argument *argument) {
    return argument->names[1] == ',' ? argument->names + 2 : argument->names[1] == 0 ? NULL : argument->names;
}

static char argument_short(const struct argument *argument) {
    if (argument->names[1] == ',' || argument->names[1] == 0)
        return argument->names[0];
    return 0;
}

static size_t arguments_count(const struct argument *const *tables, size_t table_count) {
    size_t count = 0;
    for (size_t i = 0; i < table_count; i++)
        for (const struct argument *a = tables[i]; a && a->names; a++)
            count++;
    return count;
}

int arguments_init(struct arguments *arguments, int argc, char **argv, const struct argument *const *tables,
                   size_t table_count, bool first_word_ends) {
    size_t count = arguments_count(tables, table_count);
    *arguments = (struct arguments){.argc = argc,
                                    .argv = argv,
                                    .table = calloc(count + 1, sizeof(void *)),
                                    .longs = calloc(count + 1, sizeof(struct option)),
                                    .shorts = calloc(count + 2, 2)};
    if (!arguments->table || !arguments->longs || !arguments->shorts) {
        arguments_done(arguments);
        return -ENOMEM;
    }
    // +: options end at the first other word. : first: a missing value is told apart.
    char *s = stpcpy(arguments->shorts, first_word_ends ? "+:" : ":");
    struct option *l = arguments->longs;
    for (size_t i = 0; i < table_count; i++) {
        for (const struct argument *a = tables[i]; a && a->names; a++) {
            if (argument_short(a))
                s = stpcpy(s, (char[]){argument_short(a), a->metavar ? ':' : 0, 0});
            if (argument_long(a))
                *l++ = (struct option){argument_long(a), a->metavar ? required_argument : no_argument, NULL,
                                       ARGUMENTS_LONG + (int)arguments->count};
            arguments->table[arguments->count++] = a;
        }
    }
    optind = 0; // glibc: begin anew
    opterr = 0;
    return 0;
}

void arguments_done(struct arguments *arguments) {
    free(arguments->table);
    free(arguments->longs);
    free(arguments->shorts);
}

static const struct argument *arguments_find(const struct arguments *arguments, int option) {
    if (option >= ARGUMENTS_LONG)
        return arguments->table[option - ARGUMENTS_LONG];
    for (size_t i = 0; i < arguments->count; i++)
        if (argument_short(arguments->table[i]) == option)
            return arguments->table[i];
    return NULL;
}

int arguments_next(struct arguments *arguments, const char **ret_value, char why[512]) {
    int at = optind > 0 ? optind : 1;
    int option = getopt_long(arguments->argc, arguments->argv, arguments->shorts, arguments->longs, NULL);
    const char *word = at < arguments->argc ? arguments->argv[at] : "";
    if (option == -1)
        return ARGUMENTS_END;
    if (option == ':') {
        snprintf(why, 512, "%.200s: needs a value", word);
        return ARGUMENTS_WRONG;
    }
    const struct argument *argument = option == '?' ? NULL : arguments_find(arguments, option);
    if (!argument) {
        if (optopt >= ARGUMENTS_LONG)
            snprintf(why, 512, "%.200s: takes no value", word);
        else
            snprintf(why, 512, "%.200s: no such option, or not the only one that begins so", word);
        return ARGUMENTS_WRONG;
    }
    *ret_value = argument->metavar ? optarg : NULL;
    return argument->id;
}

void arguments_help(const struct arguments *arguments) {
    enum { COLUMN = 30 };
    for (size_t i = 0; i < arguments->count; i++) {
        const struct argument *a = arguments->table[i];
        char left[128];
        char one = argument_short(a);
        const char *name = argument_long(a);
        int n = snprintf(left, sizeof(left), one ? "  -%c" : "    ", one);
        if (name)
            n += snprintf(left + n, sizeof(left) - (size_t)n, "%s--%s", one ? ", " : "  ", name);
        if (a->metavar)
            snprintf(left + n, sizeof(left) - (size_t)n, " %s", a->metavar);
        if (strlen(left) >= COLUMN - 1)
            printf("%s\n%*s%s\n", left, COLUMN, "", a->help);
        else
            printf("%-*s%s\n", COLUMN, left, a->help);
    }
}
