// supctl daemon: what an administrator does with the daemon itself.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/util.h"

static const struct {
    const char *word, *method;
} verbs[] = {{"reload", "daemon.reload"}, {"reexec", "daemon.reexec"}, {"stop", "daemon.stop"}};

static int daemon_run(struct client *client) {
    const char *value, *method = NULL;
    int count;
    json_t *answer = NULL;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    for (size_t i = 0; count == 1 && i < ARRAY_SIZE(verbs); i++)
        if (streq(words[0], verbs[i].word))
            method = verbs[i].method;
    if (!method)
        return client_usage(client, "needs one of reload, reexec and stop");
    if (client_call(client, "daemon", method, json_object(), &answer) < 0)
        return -1;
    size_t i;
    const json_t *setting, *later = json_object_get(answer, "later");
    json_array_foreach(later, i, setting) {
        print_error("daemon: setting %s counts from the next start, or supctl daemon reexec, on",
                    json_string_value(setting));
    }
    if (client->json)
        print_json(answer);
    json_decref(answer);
    return 0;
}

const struct command command_daemon = {
    "daemon",
    "reload | reexec | stop",
    "reads the settings again; goes on as the program that is installed now, with all jobs; ends all jobs and leaves",
    NULL,
    NULL,
    false,
    EXIT_REFUSED,
    daemon_run};
