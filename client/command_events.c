// supctl events.
#include <math.h>
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/buffer.h"
#include "common/units.h"
#include "common/util.h"

enum { EVENTS_SINCE = 1, EVENTS_TYPE };

static const struct argument events_arguments[] = {
    {"since", "SEQ", "also those after this number; 0: all that are kept", EVENTS_SINCE},
    {"type", "TYPE", "only these, such as job.final; may be repeated", EVENTS_TYPE},
    {NULL},
};

struct watching {
    const struct client *client;
    json_t *params; // owned: since is the last that was shown
};

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
}

// What it was or will be: the end of one that is over, the command of one that begins.
static void print_event_job(const json_t *job) {
    char outcome[64];
    print_outcome(job, outcome);
    const char *name = json_string_value(json_object_get(job, "name"));
    struct buffer command = {0};
    if (!*outcome)
        print_append_command(&command, job);
    printf("  %s  %s", name ? name : "-", *outcome ? outcome : buffer_head(&command));
    buffer_done(&command);
}

static void print_event(const json_t *event) {
    char when[32];
    double at = json_number_value(json_object_get(event, "at"));
    const json_t *job = json_object_get(event, "job"), *id = json_object_get(event, "id");
    printf("%s.%03d  %-6lld  %-15s", units_instant(at, when), (int)((at - floor(at)) * 1e3),
           (long long)json_integer_value(json_object_get(event, "seq")),
           json_string_value(json_object_get(event, "type")));
    if (json_object_get(event, "from"))
        printf("  events %lld to %lld are not kept any more",
               (long long)json_integer_value(json_object_get(event, "from")),
               (long long)json_integer_value(json_object_get(event, "to")));
    if (json_is_integer(id))
        printf("  %-6lld", (long long)json_integer_value(id));
    if (json_is_object(job))
        print_event_job(job);
    putchar('\n');
}

static void watching_reached(const struct watching *watching, json_t *seq) {
    const json_t *since = json_object_get(watching->params, "since");
    if (!since || json_integer_value(seq) > json_integer_value(since))
        json_object_set(watching->params, "since", seq);
}

static void on_notification(const char *method, json_t *params, void *data) {
    const struct watching *watching = data;
    if (!streq(method, "event"))
        return;
    watching_reached(watching, json_object_get(params, "seq"));
    (watching->client->json ? print_json : print_event)(params);
    fflush(stdout);
}

static void on_lost(void *data) {
}

static const struct call_listener events_listener = {on_answer, on_notification, on_lost};

static int events_option(struct client *client, json_t *params, int id, const char *value) {
    char *end;
    if (id == EVENTS_TYPE) {
        json_t *types = json_object_get(params, "types");
        if (!types)
            json_object_set_new(params, "types", types = json_array());
        return json_array_append_new(types, json_string(value));
    }
    if (id != EVENTS_SINCE)
        return client_usage(client, NULL);
    long long since = strtoll(value, &end, 10);
    json_object_set_new(params, "since", json_integer(since));
    return end == value || *end || since < 0 ? client_usage(client, "--since: %s: is no number of an event", value) : 0;
}

static int events_watch(struct client *client, json_t *params) {
    struct watching watching = {.client = client, .params = params};
    int r = client_connect(client);
    if (r == 0)
        call_listen(client->call, &events_listener, &watching);
    while (r == 0 && !ferror(stdout)) {
        json_t *answer = NULL;
        r = client_call_again(client, "event.subscribe", json_deep_copy(params), &answer);
        watching_reached(&watching, json_object_get(answer, "seq"));
        json_decref(answer);
        while (r == 0 && !call_is_lost(client->call) && !ferror(stdout))
            ev_run(call_loop(client->call), EVRUN_ONCE);
    }
    json_decref(params);
    return r;
}

static int events_run(struct client *client) {
    json_t *params = json_object(), *ids;
    const char *value;
    int id, count, r = 0;
    while (r == 0 && (id = client_option(client, &value)) != ARGUMENTS_END)
        r = events_option(client, params, id, value);
    char **words = client_words(client, &count);
    if (r == 0 && count > 0 && (r = client_ids(client, words, count, &ids)) == 0)
        json_object_set_new(params, "jobs", ids);
    if (r == 0)
        return events_watch(client, params);
    json_decref(params);
    return r;
}

const struct command command_events = {"events",
                                       "[OPTION]... [ID...]",
                                       "what happens to jobs, as it happens",
                                       NULL,
                                       events_arguments,
                                       false,
                                       EXIT_REFUSED,
                                       events_run};
