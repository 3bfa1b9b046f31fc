// spec: what a client asked for, decoded. Plain data; checked before it gets here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STREAM_OUT, STREAM_ERR, STREAM_COUNT };

enum spec_sink { SINK_CAPTURE, SINK_NULL, SINK_FILE, SINK_STDOUT, SINK_FD };

struct spec_stream {
    enum spec_sink sink;
    char *path; // SINK_FILE
    bool append;
};

enum spec_stdin { STDIN_NULL, STDIN_DATA, STDIN_STREAM, STDIN_FD };

enum spec_descendants { DESCENDANTS_KILL, DESCENDANTS_WAIT, DESCENDANTS_KEEP };

struct spec_pair {
    char *name;
    char *value; // NULL in env: unset
};

// In the order of the protocol's table, which a test holds against this one.
enum spec_limit {
    LIMIT_MEMORY, // those up to LIMIT_TREE are of the tree as a whole: a cgroup's
    LIMIT_PROCESSES,
    LIMIT_CPU_WEIGHT,
    LIMIT_TREE,
    LIMIT_ADDRESS_SPACE = LIMIT_TREE, // the rest is of each process
    LIMIT_OPEN_FILES,
    LIMIT_FILE_SIZE,
    LIMIT_CORE,
    LIMIT_CPU_SECONDS,
    LIMIT_COUNT,
};

struct spec {
    char **argv; // NULL at the end; the words are in the same piece of memory
    size_t argc;
    char *name;      // or NULL
    char *key;       // or NULL
    char *canonical; // with a key: the request in one fixed form, to tell whether another is the same
    struct spec_pair *labels;
    size_t label_count;
    char *cwd; // NULL: the user's home
    struct spec_pair *env;
    size_t env_count;
    enum spec_stdin stdin_from;
    char *stdin_data; // STDIN_DATA
    size_t stdin_size;
    struct spec_stream streams[STREAM_COUNT];
    double timeout, idle_timeout, cpu_timeout; // seconds; 0: none
    int stop_signal;
    double grace;
    bool pty;            // stdin, stdout and stderr are a terminal, captured as stdout
    unsigned rows, cols; // of it, now
    char *term;          // its TERM, or NULL: env's, else the protocol's default
    enum spec_descendants descendants;
    int64_t head_bytes, tail_bytes;
    int64_t limit_bytes; // -1: none
    bool kill_on_limit;
    mode_t umask;
    bool has_nice;
    int nice;
    int64_t *limits; // LIMIT_COUNT of them, -1: none; or NULL: none at all
    bool lease;
    double retain;
};

void spec_init(struct spec *spec); // the protocol's defaults
void spec_done(struct spec *spec); // frees what it owns
// Frees what only a launch needs and what must not linger: env, stdin, file paths, limits.
void spec_forget_secrets(struct spec *spec);
void spec_pairs_free(struct spec_pair **pairs, size_t *count); // and empties both
extern const char *const spec_limit_names[LIMIT_COUNT];
size_t spec_bytes(const struct spec *spec);     // what its words and labels take
bool spec_limits_tree(const struct spec *spec); // as a whole: some limit below LIMIT_TREE
bool spec_captures(const struct spec *spec, int stream);
int spec_descriptors(const struct spec *spec);  // that it needs beside it: of stdin, stdout and stderr, in this order
bool spec_takes_input(const struct spec *spec); // by job.input
// The value of a label, or NULL.
const char *spec_label(const struct spec *spec, const char *name);
