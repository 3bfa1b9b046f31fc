// Defaults and destruction of a spec.
#include "daemon/core/spec.h"

#include <signal.h>

#include "common/util.h"

const char *const spec_limit_names[LIMIT_COUNT] = {
    [LIMIT_MEMORY] = "memory_bytes",   [LIMIT_PROCESSES] = "processes",
    [LIMIT_CPU_WEIGHT] = "cpu_weight", [LIMIT_ADDRESS_SPACE] = "address_space_bytes",
    [LIMIT_OPEN_FILES] = "open_files", [LIMIT_FILE_SIZE] = "file_size_bytes",
    [LIMIT_CORE] = "core_bytes",       [LIMIT_CPU_SECONDS] = "cpu_seconds",
};

bool spec_limits_tree(const struct spec *spec) {
    for (int i = 0; spec->limits && i < LIMIT_TREE; i++)
        if (spec->limits[i] >= 0)
            return true;
    return false;
}

size_t spec_bytes(const struct spec *spec) {
    size_t bytes = (spec->argc + 1) * sizeof(char *) + spec->label_count * sizeof(struct spec_pair);
    for (size_t i = 0; i < spec->argc; i++)
        bytes += strlen(spec->argv[i]) + 1;
    for (size_t i = 0; i < spec->label_count; i++)
        bytes += strlen(spec->labels[i].name) + strlen(spec->labels[i].value) + 2;
    return bytes;
}

void spec_init(struct spec *spec) {
    *spec = (struct spec){
        .stop_signal = SIGTERM,
        .grace = 5,
        .head_bytes = 512L * 1024,
        .tail_bytes = 512L * 1024,
        .limit_bytes = -1,
        .umask = 022,
        .rows = 24,
        .cols = 80,
        .retain = 7 * 24 * 3600,
    };
}

void spec_pairs_free(struct spec_pair **pairs, size_t *count) {
    for (size_t i = 0; i < *count; i++) {
        free((*pairs)[i].name);
        if ((*pairs)[i].value)
            explicit_bzero((*pairs)[i].value, strlen((*pairs)[i].value));
        free((*pairs)[i].value);
    }
    free(*pairs);
    *pairs = NULL;
    *count = 0;
}

void spec_forget_secrets(struct spec *spec) {
    spec_pairs_free(&spec->env, &spec->env_count);
    if (spec->stdin_data)
        explicit_bzero(spec->stdin_data, spec->stdin_size);
    free(spec->stdin_data);
    spec->stdin_data = NULL;
    spec->stdin_size = 0;
    free(spec->limits);
    spec->limits = NULL;
    for (int i = 0; i < STREAM_COUNT; i++) {
        free(spec->streams[i].path);
        spec->streams[i].path = NULL;
    }
}

void spec_done(struct spec *spec) {
    spec_forget_secrets(spec);
    spec_pairs_free(&spec->labels, &spec->label_count);
    free(spec->argv);
    free(spec->name);
    free(spec->key);
    free(spec->canonical);
    free(spec->cwd);
    free(spec->term);
    *spec = (struct spec){0};
}

const char *spec_label(const struct spec *spec, const char *name) {
    for (size_t i = 0; i < spec->label_count; i++)
        if (streq(spec->labels[i].name, name))
            return spec->labels[i].value;
    return NULL;
}

int spec_descriptors(const struct spec *spec) {
    return (spec->stdin_from == STDIN_FD) + (spec->streams[STREAM_OUT].sink == SINK_FD) +
           (spec->streams[STREAM_ERR].sink == SINK_FD);
}

bool spec_takes_input(const struct spec *spec) {
    return spec->pty || spec->stdin_from == STDIN_STREAM;
}

bool spec_captures(const struct spec *spec, int stream) {
    return spec->streams[stream].sink == SINK_CAPTURE;
}
