// The caller's surroundings.
#include "client/inherited.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/spec_options.h"
#include "common/buffer.h"
#include "common/bytes.h"
#include "common/util.h"

// supd gives these to a job that does not set them; one that the caller has not is unset.
static const char *const given[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"};

static json_t *inherited_environment(void) {
    json_t *env = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        if (!getenv(given[i]))
            json_object_set_new(env, given[i], json_null());
    for (char **variable = environ; *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        if (!equals || equals == *variable || strncmp(*variable, "SUPD_JOB_ID=", strlen("SUPD_JOB_ID=")) == 0)
            continue;
        _cleanup_free_ char *name = strndup(*variable, (size_t)(equals - *variable));
        if (name) // one that is not UTF-8 can't be named in JSON: jansson refuses it, and it is left out
            json_object_set_new(env, name, spec_options_bytes(equals + 1));
    }
    return env;
}

static int inherited_cwd(json_t *spec, char why[512]) {
    char path[PATH_MAX];
    const char *inside = json_string_value(json_object_get(spec, "cwd"));
    if (json_object_get(spec, "cwd") && (!inside || inside[0] == '/'))
        return 0;
    if (!getcwd(path, sizeof(path))) {
        snprintf(why, 512, "the working directory: %s: change to another, or name one with --cwd", strerror(errno));
        return -1;
    }
    _cleanup_free_ char *joined = NULL;
    if (asprintf(&joined, "%s%s%s", path, inside ? "/" : "", inside ? inside : "") >= 0 &&
        json_object_set_new(spec, "cwd", spec_options_bytes(joined)) == 0)
        return 0;
    snprintf(why, 512, "the working directory: %s", strerror(ENOMEM));
    return -1;
}

// Of somebody else's surroundings only how to talk to whoever looks: the rest is the other user's own.
static json_t *neutral_environment(void) {
    static const char *const names[] = {"TERM",     "COLORTERM", "NO_COLOR", "LANG",
                                        "LANGUAGE", "LC_ALL",    "LC_CTYPE", "TZ"};
    json_t *env = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (getenv(names[i]))
            json_object_set_new(env, names[i], spec_options_bytes(getenv(names[i])));
    return env;
}

int inherited_fill(json_t *spec, char why[512]) {
    bool as_other = json_object_get(spec, "user") != NULL;
    bool has_cwd = json_object_get(spec, "cwd") != NULL;
    if ((!as_other || has_cwd) && inherited_cwd(spec, why) < 0)
        return -1;
    json_t *env = as_other ? neutral_environment() : inherited_environment();
    json_object_update(env, json_object_get(spec, "env"));
    json_object_set_new(spec, "env", env);
    if (!json_object_get(spec, "umask")) {
        mode_t mask = umask(0);
        umask(mask);
        json_object_set_new(spec, "umask", json_sprintf("%03o", (unsigned)mask));
    }
    return 0;
}

char *inherited_read_all(int fd, size_t max, size_t *ret_size) {
    enum { PIECE = 65536 };
    struct buffer all = {0};
    ssize_t n = 1;
    while (n > 0 && buffer_size(&all) <= max) {
        if (buffer_reserve(&all, PIECE) < 0) {
            n = -1;
            errno = ENOMEM;
            break;
        }
        n = read(fd, all.data + all.end, PIECE - 1);
        if (n > 0)
            all.end += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n > 0)
        errno = EFBIG;
    if (n != 0) {
        int saved = errno;
        buffer_done(&all);
        errno = saved;
        return NULL;
    }
    all.data[all.end] = 0;
    *ret_size = buffer_size(&all);
    return all.data;
}

bool inherited_has_stdin(void) {
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0 || isatty(STDIN_FILENO))
        return false;
    return !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3); // /dev/null (null(4))
}
