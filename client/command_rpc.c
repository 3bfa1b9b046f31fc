// supctl rpc.
#include <stdio.h>

#include "client/inherited.h"
#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/util.h"

enum { RPC_PARAMS_MAX = 8 << 20 };

static void on_answer(int64_t id, json_t *result, const struct call_fault *fault, void *data) {
}

static void on_notification(const char *method, json_t *params, void *data) {
    json_t *message = json_pack("{s:s,s:O}", "method", method, "params", params);
    print_json(message);
    fflush(stdout);
    json_decref(message);
    if (streq(method, "job.output") && json_is_true(json_object_get(params, "eof")))
        *(bool *)data = true;
}

static void on_lost(void *data) {
    // call_is_lost tells it
}

static const struct call_listener rpc_listener = {on_answer, on_notification, on_lost};

static json_t *rpc_params(const char *word, json_error_t *error) {
    size_t size;
    if (!streq(word, "-"))
        return json_loads(word, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, error);
    _cleanup_free_ char *text = inherited_read_all(STDIN_FILENO, RPC_PARAMS_MAX, &size);
    if (text)
        return json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, error);
    snprintf(error->text, sizeof(error->text), "stdin: %s", strerror(errno));
    return NULL;
}

static int rpc_run(struct client *client) {
    const char *value;
    int count;
    json_t *params = NULL, *result = NULL;
    json_error_t error;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    if (count < 1 || count > 2)
        return client_usage(client, "needs a METHOD, then perhaps its params");
    if (count == 2 && !(params = rpc_params(words[1], &error)))
        return client_usage(client, "%s: is no JSON object: %s", words[1], error.text);
    bool over = false;
    if (client_connect(client) < 0) {
        json_decref(params);
        return -1;
    }
    call_listen(client->call, &rpc_listener, &over);
    if (client_call(client, NULL, words[0], params ? params : json_object(), &result) < 0)
        return -1;
    print_json(result);
    fflush(stdout);
    // What was subscribed to comes until it ends, or this process does.
    bool follows = json_object_get(result, "subscription") && !json_is_true(json_object_get(result, "eof"));
    json_decref(result);
    while (follows && !over && !call_is_lost(client->call) && !ferror(stdout))
        ev_run(call_loop(client->call), EVRUN_ONCE);
    if (!follows || over || ferror(stdout))
        return 0;
    print_error("%s: supd closed the connection", words[0]);
    return -1;
}

const struct command command_rpc = {
    "rpc",
    "METHOD [JSON | -]",
    "any method of the protocol; prints its result",
    "JSON is an object of params; - reads it from stdin. supctl rpc rpc.discover describes all methods.\n"
    "A subscription's notifications follow until it ends.\n",
    NULL,
    false,
    EXIT_REFUSED,
    rpc_run};
