// supctl attach.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/following.h"
#include "client/outcome.h"
#include "client/print.h"

static int attach_job(struct client *client, const char *word) {
    json_t *answer = NULL, *job = NULL;
    if (client_call(client, word, "job.status", client_job(word), &answer) < 0)
        return -1;
    int r = following_attach(client, json_object_get(answer, "job"), &job);
    json_decref(answer);
    if (r != 0)
        return r == FOLLOWING_DETACHED ? 0 : -1;
    if (client->json)
        print_json(job);
    else
        outcome_tell(job);
    int code = exit_code(job);
    json_decref(job);
    return code;
}

static int attach_run(struct client *client) {
    const char *value;
    int count;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    if (count != 1)
        return client_usage(client, "needs the ID or NAME of one job");
    return attach_job(client, words[0]);
}

const struct command command_attach = {
    "attach",
    "ID",
    "joins a job: its output here, this terminal or stdin to it, until it ends or one detaches",
    "A job with a terminal (supctl start -t) is driven from this one, and Ctrl-] d detaches: the job runs on. Of any\n"
    "other job the output is shown, stdin goes to one that takes it (--stdin stream), and Ctrl-C detaches.\n"
    "Leaves with the job's exit code, or 0 after detaching. With --json its final record is printed instead of its "
    "output.\n",
    NULL,
    false,
    EXIT_CANNOT,
    attach_run};
