// Making a spec.
#include "client/job_spec.h"

#include <fcntl.h>
#include <stdio.h>

#include "client/inherited.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "client/spec_options.h"
#include "common/schema.h"
#include "common/util.h"

enum { JOB_SPEC_MAX = 8 << 20 }; // what the daemon takes as one request

int job_spec_option(struct client *client, struct job_spec *job, int id, const char *value) {
    char why[512];
    if (id == JOB_SPEC_FILE)
        job->file = value;
    else if (id == JOB_SPEC_NO_STDIN)
        job->no_stdin = true;
    else if (id < SPEC_OPTIONS_FIRST)
        return client_usage(client, NULL);
    else if (spec_options_set(job->spec, id, value, why) < 0)
        return client_usage(client, "%s", why);
    return 0;
}

static int job_spec_read(struct client *client, struct job_spec *job) {
    json_error_t error;
    size_t size;
    _cleanup_close_ int opened = streq(job->file, "-") ? -1 : open(job->file, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = opened >= 0 || streq(job->file, "-")
                                    ? inherited_read_all(opened >= 0 ? opened : STDIN_FILENO, JOB_SPEC_MAX, &size)
                                    : NULL;
    if (!text) {
        print_error("%s: --spec: %s: %s", client->command->name, job->file, strerror(errno));
        return -1;
    }
    json_t *spec = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json_is_object(spec)) {
        json_decref(spec);
        return client_usage(client, "--spec: %s: %s", job->file, spec ? "is no JSON object" : error.text);
    }
    json_object_update_recursive(spec, job->spec);
    json_decref(job->spec);
    job->spec = spec;
    return 0;
}

static int job_spec_command(struct client *client, struct job_spec *job) {
    int count;
    char **words = client_words(client, &count);
    if (count == 0)
        return json_object_get(job->spec, "argv") ? 0 : client_usage(client, "needs a command");
    json_t *argv = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(argv, spec_options_bytes(words[i]));
    return json_object_set_new(job->spec, "argv", argv);
}

// A terminal is typed to while it runs. Any other job reads the very stdin that a plain command would.
static void job_spec_stdin(struct job_spec *job) {
    bool pty = json_object_get(job->spec, "pty");
    if (!pty)
        json_object_set_new(job->spec, "stdin", json_string("fd"));
    else if (job->streams)
        json_object_set_new(job->spec, "stdin", json_string("stream"));
}

// What the daemon would refuse as wrong params is a wrong command line.
static int job_spec_check(struct client *client, const struct job_spec *job, const char *method) {
    struct schema_error error;
    const struct proto_method *row = proto_method_find(method);
    if (schema_check_params(row, job->spec, &error) == 0 || error.code != PROTO_INVALID_PARAMS)
        return 0;
    return client_usage(client, "%s: %s", error.field, error.why);
}

static int job_spec_inherit(struct client *client, struct job_spec *job) {
    char why[512];
    int r = inherited_fill(job->spec, why);
    if (r < 0)
        print_error("%s: %s", client->command->name, why);
    return r;
}

int job_spec_finish(struct client *client, struct job_spec *job, const char *method) {
    int r = job->file ? job_spec_read(client, job) : 0;
    if (r == 0)
        r = job_spec_command(client, job);
    if (r == 0 && !job->file)
        r = job_spec_inherit(client, job);
    if (r == 0)
        r = job_spec_check(client, job, method);
    if (r == 0 && !job->no_stdin && !job->file && !json_object_get(job->spec, "stdin") && inherited_has_stdin())
        job_spec_stdin(job);
    return r;
}
