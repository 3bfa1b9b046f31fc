// supctl info and supctl stats.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"

static int figures(struct client *client, const char *method) {
    const char *value;
    int count;
    json_t *answer = NULL;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    if (count > 0)
        return client_usage(client, "%s: not expected", words[0]);
    if (client_call(client, NULL, method, json_object(), &answer) < 0)
        return -1;
    (client->json ? print_json : print_figures)(answer);
    json_decref(answer);
    return 0;
}

static int info_run(struct client *client) {
    return figures(client, "daemon.info");
}

static int stats_run(struct client *client) {
    return figures(client, "daemon.stats");
}

const struct command command_info = {
    "info", "[OPTION]...", "what the daemon is, can do and allows", NULL, NULL, false, EXIT_REFUSED, info_run};
const struct command command_stats = {
    "stats", "[OPTION]...", "the daemon's counters and gauges", NULL, NULL, false, EXIT_REFUSED, stats_run};
