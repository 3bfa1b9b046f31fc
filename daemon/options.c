// The command line, and default paths.
#include "daemon/options.h"

#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/paths.h"
#include "common/util.h"
#include "daemon/version.h"

static const char usage[] = "Usage: supd [OPTION]...\n"
                            "Launches and watches commands for clients of its socket (see supctl --help).\n\n"
                            "  --user | --system    serve this user or the machine; default: root is --system\n"
                            "  --socket PATH        where clients connect\n"
                            "  --state-dir DIR      what is kept (locked: one daemon each)\n"
                            "  --runtime-dir DIR    live output\n"
                            "  --config FILE        settings, a JSON object\n"
                            "  --set KEY=VALUE      one setting, over those of the file; may be repeated\n"
                            "  --log-level LEVEL    error, warning, info (default) or debug\n"
                            "  --idle-exit SECONDS  leave after that long without a live job or a client\n"
                            "  --no-keeper          run as one process: jobs die with it (for debuggers)\n"
                            "  --check              read options and settings, say what is wrong with them, and leave\n"
                            "  --describe           print the protocol as an OpenRPC document\n"
                            "  --version, --help\n\n"
                            "Settings, with their defaults:\n";

enum {
    OPT_USER = 1000,
    OPT_SYSTEM,
    OPT_SOCKET,
    OPT_STATE,
    OPT_RUNTIME,
    OPT_CONFIG,
    OPT_SET,
    OPT_LOG,
    OPT_IDLE,
    OPT_KEEPER,
    OPT_DESCRIBE,
    OPT_CHECK,
    OPT_VERSION,
    OPT_HELP
};

static const struct option long_options[] = {
    {"user", no_argument, NULL, OPT_USER},
    {"system", no_argument, NULL, OPT_SYSTEM},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"state-dir", required_argument, NULL, OPT_STATE},
    {"runtime-dir", required_argument, NULL, OPT_RUNTIME},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"set", required_argument, NULL, OPT_SET},
    {"log-level", required_argument, NULL, OPT_LOG},
    {"idle-exit", required_argument, NULL, OPT_IDLE},
    {"no-keeper", no_argument, NULL, OPT_KEEPER},
    {"describe", no_argument, NULL, OPT_DESCRIBE},
    {"check", no_argument, NULL, OPT_CHECK},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL},
};

struct parse {
    struct options *options;
    bool scope_given;
};

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("supd: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return -EINVAL;
}

// The daemon works in /, so paths are made absolute first.
static int set_path(char **to, const char *path) {
    char cwd[PATH_MAX];
    free(*to);
    *to = NULL;
    if (path[0] == '/')
        *to = strdup(path);
    else if (getcwd(cwd, sizeof(cwd)) && asprintf(to, "%s/%s", cwd, path) < 0)
        *to = NULL;
    return *to ? 0 : fail("%s: cannot be made absolute", path);
}

static int parse_number(const char *text, double *ret) {
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !(x > 0 && x <= 1e9))
        return fail("--idle-exit: %s is no number of seconds above 0", text);
    *ret = x;
    return 0;
}

static int parse_one(struct parse *p, int option) {
    struct options *o = p->options;
    switch (option) {
    case OPT_USER:
    case OPT_SYSTEM:
        if (p->scope_given && o->system != (option == OPT_SYSTEM))
            return fail("--user and --system exclude each other");
        o->system = option == OPT_SYSTEM;
        p->scope_given = true;
        return 0;
    case OPT_SOCKET:
        return set_path(&o->socket, optarg);
    case OPT_STATE:
        return set_path(&o->state_dir, optarg);
    case OPT_RUNTIME:
        return set_path(&o->runtime_dir, optarg);
    case OPT_CONFIG:
        o->config_given = true;
        return set_path(&o->config, optarg);
    case OPT_SET:
        if (o->set_count == OPTIONS_SETS)
            return fail("--set: more than %d", o->set_count);
        o->sets[o->set_count++] = optarg;
        return 0;
    case OPT_LOG:
        return log_level_parse(optarg, &o->log_level) < 0
                   ? fail("--log-level: %s is none of error, warning, info, debug", optarg)
                   : 0;
    case OPT_IDLE:
        return parse_number(optarg, &o->idle_exit);
    case OPT_KEEPER:
        o->no_keeper = true;
        return 0;
    case OPT_DESCRIBE:
        o->describe = true;
        return 0;
    case OPT_CHECK:
        o->check = true;
        return 0;
    case OPT_VERSION:
        printf("supd %s\n", SUPD_VERSION);
        return 1;
    case OPT_HELP:
        fputs(usage, stdout);
        config_help();
        return 1;
    default:
        fputs("Try supd --help.\n", stderr);
        return -EINVAL;
    }
}

// An explicit socket may stand in a directory that is everybody's: then live output goes to one of its own.
static int runtime_beside(struct options *o) {
    struct stat st;
    _cleanup_free_ char *copy = o->socket ? strdup(o->socket) : NULL;
    const char *dir = copy ? dirname(copy) : NULL;
    if (!dir)
        return -ENOMEM;
    bool ours = stat(dir, &st) < 0 || (st.st_uid == geteuid() && !(st.st_mode & 022));
    return asprintf(&o->runtime_dir, "%s%s", ours ? dir : o->socket, ours ? "" : ".d") < 0 ? -ENOMEM : 0;
}

static int paths_system(struct options *o) {
    if (!o->socket && set_path(&o->socket, PATHS_SYSTEM_SOCKET) < 0)
        return -ENOMEM;
    if (!o->runtime_dir && set_path(&o->runtime_dir, "/run/supd") < 0)
        return -ENOMEM;
    if (!o->state_dir && set_path(&o->state_dir, "/var/lib/supd") < 0)
        return -ENOMEM;
    return o->config ? 0 : set_path(&o->config, "/etc/supd/supd.json");
}

static const char *directory_or(const char *variable) {
    const char *value = getenv(variable);
    return value && value[0] == '/' ? value : NULL;
}

static int paths_user(struct options *o) {
    const char *home = directory_or("HOME");
    const char *state = directory_or("XDG_STATE_HOME"), *config = directory_or("XDG_CONFIG_HOME");
    int n = 0;
    char socket[PATH_MAX];
    if (!o->socket && (paths_user_socket(socket, sizeof(socket)) < 0 || set_path(&o->socket, socket) < 0))
        return -ENOMEM;
    if (!o->runtime_dir)
        n = runtime_beside(o);
    if (n >= 0 && !o->state_dir)
        n = state ? asprintf(&o->state_dir, "%s/supd", state)
                  : asprintf(&o->state_dir, "%s/.local/state/supd", home ? home : "/");
    if (n >= 0 && !o->config)
        n = config ? asprintf(&o->config, "%s/supd/supd.json", config)
                   : asprintf(&o->config, "%s/.config/supd/supd.json", home ? home : "/");
    return n < 0 ? -ENOMEM : 0;
}

int options_reload(const struct options *o, struct config *ret_config, char why[256]) {
    struct config config;
    char what[256];
    config_init(&config);
    if (config_read(&config, o->config, o->config_given, what) < 0) {
        snprintf(why, 256, "config: %.240s", what);
        return -EINVAL;
    }
    for (int i = 0; i < o->set_count; i++)
        if (config_set(&config, o->sets[i], what) < 0) {
            snprintf(why, 256, "--set: %.240s", what);
            return -EINVAL;
        }
    if (!o->system && (config.access.is_limited || config.access.count > 0)) {
        snprintf(why, 256, "access: a user's daemon serves that user alone; it is a setting of --system");
        return -EINVAL;
    }
    *ret_config = config;
    return 0;
}

static int settings_read(struct options *o) {
    char why[256];
    return options_reload(o, &o->settings, why) < 0 ? fail("%s", why) : 0;
}

int options_parse(int argc, char **argv, struct options *ret_options) {
    char program[PATH_MAX] = "";
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        program[0] = 0;
    *ret_options = (struct options){
        .log_level = LOG_LEVEL_INFO, .system = geteuid() == 0, .argv = argv, .program = strdup(program)};
    struct parse p = {.options = ret_options};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        int r = parse_one(&p, option);
        if (r != 0)
            return r;
    }
    if (optind < argc)
        return fail("%s: not expected; supd takes options only", argv[optind]);
    int r = ret_options->system ? paths_system(ret_options) : paths_user(ret_options);
    return r < 0 ? fail("out of memory") : settings_read(ret_options);
}

void options_done(struct options *options) {
    free(options->socket);
    free(options->state_dir);
    free(options->runtime_dir);
    free(options->config);
    free(options->program);
}
