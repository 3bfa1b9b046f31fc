// supctl status.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "client/report.h"
#include "common/util.h"

enum { STATUS_STATE = 1, STATUS_NAME, STATUS_LABEL, STATUS_LIMIT, STATUS_PAGE = 1000 };

static const struct argument status_arguments[] = {
    {"state", "STATE", "only jobs that are queued, starting, running, stopping or final; may be repeated",
     STATUS_STATE},
    {"name", "NAME", "only jobs of this name", STATUS_NAME},
    {"l,label", "KEY=VALUE", "only jobs with this label; may be repeated", STATUS_LABEL},
    {"limit", "N", "only the N newest", STATUS_LIMIT},
    {NULL},
};

static int status_label(struct client *client, json_t *params, const char *value) {
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return client_usage(client, "--label: %s: must be KEY=VALUE", value);
    _cleanup_free_ char *key = strndup(value, (size_t)(equals - value));
    json_t *labels = json_object_get(params, "labels");
    if (!labels)
        json_object_set_new(params, "labels", labels = json_object());
    return key ? json_object_set_new(labels, key, json_string(equals + 1)) : -1;
}

static int status_option(struct client *client, json_t *params, int id, const char *value, long *limit) {
    json_t *states = json_object_get(params, "states");
    char *end;
    switch (id) {
    case STATUS_STATE:
        if (!states)
            json_object_set_new(params, "states", states = json_array());
        json_array_append_new(states, json_string(value));
        return 0;
    case STATUS_NAME:
        json_object_set_new(params, "name", json_string(value));
        return 0;
    case STATUS_LABEL:
        return status_label(client, params, value);
    case STATUS_LIMIT:
        *limit = strtol(value, &end, 10);
        return end == value || *end || *limit < 1 ? client_usage(client, "--limit: %s: is no number above 0", value)
                                                  : 0;
    default:
        return client_usage(client, NULL);
    }
}

static int status_some(struct client *client, char **words, int count) {
    int r = 0;
    for (int i = 0; i < count; i++) {
        json_t *answer = NULL;
        json_t *params = client_job(words[i]);
        if (!client->json)
            json_object_set_new(params, "inline_bytes", json_integer(REPORT_INLINE));
        if (client_call(client, words[i], "job.status", params, &answer) < 0) {
            r = EXIT_REFUSED;
            continue;
        }
        if (i > 0 && !client->json)
            putchar('\n');
        (client->json ? print_json : report_print)(json_object_get(answer, "job"));
        json_decref(answer);
    }
    return r;
}

// Page by page, so that no daemon and no client holds more than one.
static int status_list(struct client *client, json_t *params, long limit) {
    json_t *all = json_array(), *job;
    size_t i;
    for (;;) {
        json_t *answer = NULL;
        json_object_set_new(params, "limit", json_integer(limit > 0 && limit < STATUS_PAGE ? limit : STATUS_PAGE));
        if (client_call(client, "status", "job.list", json_deep_copy(params), &answer) < 0) {
            json_decref(all);
            return -1;
        }
        json_array_foreach(json_object_get(answer, "jobs"), i, job) {
            if (client->json)
                print_json(job);
            else
                json_array_append(all, job);
        }
        limit -= limit > 0 ? (long)i : 0;
        json_t *next = json_object_get(answer, "next");
        bool more = json_is_integer(next) && limit != 0;
        if (more)
            json_object_set(params, "before", next);
        json_decref(answer);
        if (!more)
            break;
    }
    if (!client->json)
        print_jobs(all);
    json_decref(all);
    return 0;
}

static int status_run(struct client *client) {
    json_t *params = json_object();
    const char *value;
    long limit = -1;
    int id, count, r = 0;
    while (r == 0 && (id = client_option(client, &value)) != ARGUMENTS_END)
        r = status_option(client, params, id, value, &limit);
    char **words = client_words(client, &count);
    if (r == 0 && count > 0 && json_object_size(params) > 0)
        r = client_usage(client, "IDs and filters do not go together");
    if (r == 0)
        r = count > 0 ? status_some(client, words, count) : status_list(client, params, limit);
    json_decref(params);
    return r;
}

const struct command command_status = {"status",
                                       "[OPTION]... [ID...]",
                                       "a table of jobs, newest first, or some in full",
                                       NULL,
                                       status_arguments,
                                       false,
                                       EXIT_REFUSED,
                                       status_run};
