// supctl wait.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/units.h"
#include "common/util.h"

enum { WAIT_ANY = 1, WAIT_LIMIT, WAIT_UNTIL };

static const struct argument wait_arguments[] = {
    {"any", NULL, "until one of them is over", WAIT_ANY},
    {"limit", "DURATION", "no longer than that (exit code 124)", WAIT_LIMIT},
    {"until", "TEXT", "until the job has printed this; one ID only", WAIT_UNTIL},
    {NULL},
};

static int wait_parse(struct client *client, json_t *params) {
    const char *value;
    double limit;
    int id;
    while ((id = client_option(client, &value)) != ARGUMENTS_END) {
        if (id == ARGUMENTS_WRONG)
            return client_usage(client, NULL);
        if (id == WAIT_ANY)
            json_object_set_new(params, "mode", json_string("any"));
        if (id == WAIT_LIMIT && units_parse_duration(value, &limit) < 0)
            return client_usage(client, "--limit: %s: is no DURATION: a number with ms, s, m, h or d", value);
        if (id == WAIT_LIMIT)
            json_object_set_new(params, "limit", json_real(limit));
        if (id == WAIT_UNTIL &&
            (!*value || json_object_set_new(params, "until", json_pack("{s:s}", "text", value)) < 0))
            return client_usage(client, "--until: must be text in UTF-8, not empty");
    }
    return 0;
}

// Of the jobs that are over: the first that did not end well, else the first.
static int wait_code(const json_t *answer, bool until) {
    size_t i;
    json_t *job;
    int code = 0;
    if (until && json_is_true(json_object_get(answer, "matched")))
        return 0;
    json_array_foreach(json_object_get(answer, "jobs"), i, job) {
        bool is_final = json_object_get(job, "result") && !json_is_null(json_object_get(job, "result"));
        if (is_final && code == 0)
            code = exit_code(job);
    }
    return until && code == 0 ? 1 : code;
}

static int wait_report(const struct client *client, const json_t *answer, bool until) {
    size_t i;
    json_t *job;
    if (client->json) {
        json_array_foreach(json_object_get(answer, "jobs"), i, job) {
            print_json(job);
        }
    }
    if (json_is_true(json_object_get(answer, "done")))
        return wait_code(answer, until);
    print_error("wait: the limit has passed");
    return EXIT_TIMEOUT;
}

static int wait_run(struct client *client) {
    json_t *params = json_object(), *ids, *answer = NULL;
    int count, r = wait_parse(client, params);
    char **words = client_words(client, &count);
    bool until = json_object_get(params, "until");
    if (r == 0 && count == 0)
        r = client_usage(client, "needs the ID or NAME of a job");
    if (r == 0 && until && count > 1)
        r = client_usage(client, "--until: takes one job");
    if (r != 0 || client_ids(client, words, count, &ids) < 0) {
        json_decref(params);
        return r != 0 ? r : -1;
    }
    json_object_set_new(params, "ids", ids);
    if (client_connect(client) < 0) {
        json_decref(params);
        return -1;
    }
    if (client_call_again(client, "job.wait", params, &answer) < 0)
        return -1;
    r = wait_report(client, answer, until);
    json_decref(answer);
    return r;
}

const struct command command_wait = {"wait",
                                     "[OPTION]... ID...",
                                     "waits for jobs, and leaves with the exit code of the first that failed",
                                     NULL,
                                     wait_arguments,
                                     false,
                                     EXIT_CANNOT,
                                     wait_run};
