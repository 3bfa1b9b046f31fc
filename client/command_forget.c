// supctl forget.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/util.h"

enum { FORGET_FINAL = 1 };

static const struct argument forget_arguments[] = {
    {"final", NULL, "all of one's own jobs that are over", FORGET_FINAL},
    {NULL},
};

static int forget_call(struct client *client, json_t *params) {
    json_t *answer = NULL;
    if (client_call(client, "forget", "job.forget", params, &answer) < 0)
        return -1;
    if (client->json)
        print_json(answer);
    json_decref(answer);
    return 0;
}

static int forget_run(struct client *client) {
    const char *value;
    bool final = false;
    int id, count;
    while ((id = client_option(client, &value)) != ARGUMENTS_END) {
        if (id == ARGUMENTS_WRONG)
            return client_usage(client, NULL);
        final = true;
    }
    char **words = client_words(client, &count);
    if (final == (count > 0))
        return client_usage(client, "needs either IDs or --final");
    if (final)
        return forget_call(client, json_pack("{s:b}", "final", true));
    json_t *ids;
    if (client_ids(client, words, count, &ids) < 0)
        return -1;
    return forget_call(client, json_pack("{s:o}", "ids", ids));
}

const struct command command_forget = {"forget",     "ID... | --final", "drops jobs that are over, with their output",
                                       NULL,         forget_arguments,  false,
                                       EXIT_REFUSED, forget_run};
