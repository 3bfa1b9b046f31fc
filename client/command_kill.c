// supctl kill.
#include <ctype.h>
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/units.h"
#include "common/util.h"

enum { KILL_SIGNAL = 1, KILL_GRACE };

static const struct argument kill_arguments[] = {
    {"s,signal", "SIGNAL", "only deliver this signal (KILL: end the job with grace 0)", KILL_SIGNAL},
    {"grace", "DURATION", "from the job's stop signal to SIGKILL; 0: SIGKILL at once", KILL_GRACE},
    {NULL},
};

struct kill {
    const char *signal; // to be delivered only, or NULL
    double grace;       // below 0: the job's own
};

// -9, -HUP and -SIGHUP as kill(1) has them.
static const char *kill_short_signal(const char *word) {
    if (word[0] != '-' || !(isdigit((unsigned char)word[1]) || isupper((unsigned char)word[1])))
        return NULL;
    return units_parse_signal(word + 1);
}

// Takes such words out of the command line.
static void kill_take_short(struct client *client, struct kill *options) {
    struct arguments *a = &client->arguments;
    int kept = 1;
    for (int i = 1; i < a->argc; i++) {
        const char *signal = kill_short_signal(a->argv[i]);
        if (signal && !streq(a->argv[i - 1], "--grace") && !streq(a->argv[i - 1], "-s"))
            options->signal = signal;
        else
            a->argv[kept++] = a->argv[i];
    }
    a->argc = kept;
}

static int kill_parse(struct client *client, struct kill *options) {
    const char *value;
    int id;
    kill_take_short(client, options);
    while ((id = client_option(client, &value)) != ARGUMENTS_END) {
        if (id == ARGUMENTS_WRONG)
            return client_usage(client, NULL);
        if (id == KILL_SIGNAL && !(options->signal = units_parse_signal(value)))
            return client_usage(client, "--signal: %s: no such signal", value);
        if (id == KILL_GRACE && units_parse_duration(value, &options->grace) < 0)
            return client_usage(client, "--grace: %s: is no DURATION: a number with ms, s, m, h or d", value);
    }
    if (options->signal && streq(options->signal, "SIGKILL")) {
        options->signal = NULL;
        options->grace = 0;
    }
    if (options->signal && options->grace >= 0)
        return client_usage(client, "--signal only delivers the signal: --grace does not go with it");
    return 0;
}

static int kill_deliver(struct client *client, const char *word, const char *signal) {
    json_t *params = client_job(word), *result = NULL;
    json_object_set_new(params, "signal", json_string(signal));
    int r = client_call(client, word, "job.signal", params, &result);
    json_decref(result);
    return r;
}

static int kill_end(struct client *client, const char *word, double grace) {
    json_t *params = client_job(word), *result = NULL;
    if (grace >= 0)
        json_object_set_new(params, "grace", json_real(grace));
    if (client_call(client, word, "job.kill", params, &result) < 0)
        return -1;
    if (client->json)
        print_json(json_array_get(json_object_get(result, "jobs"), 0));
    json_decref(result);
    return 0;
}

static int kill_run(struct client *client) {
    struct kill options = {.grace = -1};
    int count, r = kill_parse(client, &options);
    if (r != 0)
        return r;
    char **words = client_words(client, &count);
    if (count == 0)
        return client_usage(client, "needs the ID or NAME of a job");
    for (int i = 0; i < count; i++)
        if ((options.signal ? kill_deliver(client, words[i], options.signal)
                            : kill_end(client, words[i], options.grace)) < 0)
            r = EXIT_REFUSED;
    return r;
}

const struct command command_kill = {
    "kill",
    "[OPTION]... [-SIGNAL] ID...",
    "ends jobs with all their processes, or delivers a signal",
    "Without a signal: the job's stop signal, then after its grace SIGKILL to the whole tree.\n"
    "It answers at once; supctl wait ID waits for the end.\n",
    kill_arguments,
    false,
    EXIT_REFUSED,
    kill_run};
