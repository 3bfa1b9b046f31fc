// fuzz_config: any bytes as the file of settings, or as one of --set: they are taken, or refused with a reason.
//
// Of the input, the first byte says which.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/config.h"

enum { NAMES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_file(struct config *config, const char *text, size_t size, char why[256]) {
    char path[32];
    int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, text, size) != (ssize_t)size)
        exit(1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int r = config_read(config, path, true, why);
    close(fd);
    return r;
}

// What was taken is within its bounds, and can be gone over to from the defaults.
static void check(struct config *config) {
    struct config plain, again;
    const char *names[NAMES];
    config_init(&plain);
    if (config->launchers < 2 || config->launchers > 8 || config->max_clients < 1 || config->output_bytes < 0 ||
        config->max_request_bytes < 1024 || config->max_request_bytes > 1 << 30)
        abort();
    again = plain;
    int count = config_change(&again, config, names, NAMES);
    for (int i = 0; i < count; i++)
        if (!names[i])
            abort();
    static const gid_t groups[] = {0, 1000};
    static char root[] = "root", *const group_names[] = {root, NULL};
    const struct access_subject subject = {true, 1000, "build", groups, group_names, ARRAY_SIZE(groups)};
    if (!access_admits(&config->access, &subject) &&
        (!config->access.is_limited || access_administers(&config->access, &subject)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config;
    char why[256] = "";
    if (size < 1)
        return 0;
    _cleanup_free_ char *text = strndup((const char *)data + 1, size - 1);
    if (!text)
        exit(1);
    config_init(&config);
    int r = data[0] % 2 ? config_set(&config, text, why) : read_file(&config, (const char *)data + 1, size - 1, why);
    if (r < 0 && (!why[0] || !memchr(why, 0, sizeof(why))))
        abort();
    check(&config);
    return 0;
}
