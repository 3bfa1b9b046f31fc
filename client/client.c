// What commands share.
#include "client/client.h"

#include <stdarg.h>
#include <stdio.h>

#include "client/exit_code.h"
#include "client/print.h"
#include "client/spec_options.h"
#include "client/version.h"
#include "common/util.h"

enum {
    OPTION_SOCKET = 1000,
    OPTION_USER,
    OPTION_SYSTEM,
    OPTION_NO_AUTOSTART,
    OPTION_JSON,
    OPTION_VERSION,
    OPTION_HELP
};
enum { RECONNECT_WAITS = 200, RECONNECT_TOLD = 20, CALL_TRIES = 20 };
#define RECONNECT_PAUSE 0.05 // seconds

static const struct argument common_arguments[] = {
    {"json", NULL, "print records as JSON, one a line", OPTION_JSON},
    {"socket", "PATH", "the daemon's socket (default: $SUPD_SOCKET)", OPTION_SOCKET},
    {"user", NULL, "the user's daemon", OPTION_USER},
    {"system", NULL, "the system's daemon", OPTION_SYSTEM},
    {"no-autostart", NULL, "start no daemon where none runs (also $SUPCTL_NO_AUTOSTART)", OPTION_NO_AUTOSTART},
    {"version", NULL, "the version of supctl", OPTION_VERSION},
    {"h,help", NULL, "this help", OPTION_HELP},
    {NULL},
};

int client_parse(struct client *client, int argc, char **argv) {
    const struct command *command = client->command;
    const struct argument *tables[] = {command ? command->arguments : NULL,
                                       command && command->has_spec ? spec_options() : NULL, common_arguments};
    return arguments_init(&client->arguments, argc, argv, tables, ARRAY_SIZE(tables), !command || command->has_spec);
}

// Only a spec can tell supd of what is no text, and its options see to it themselves.
static bool is_told(const struct client *client, const char *value) {
    json_t *text = json_string(value);
    json_decref(text);
    return !value || text || client->command->has_spec;
}

int client_option(struct client *client, const char **ret_value) {
    const char *value;
    char why[512];
    for (;;) {
        int id = arguments_next(&client->arguments, &value, why);
        switch (id) {
        case OPTION_SOCKET:
            client->endpoint.socket = value;
            break;
        case OPTION_USER:
        case OPTION_SYSTEM:
            client->endpoint.socket = NULL; // what is said overrules the environment
            client->endpoint.user = id == OPTION_USER;
            client->endpoint.system = id == OPTION_SYSTEM;
            break;
        case OPTION_NO_AUTOSTART:
            client->endpoint.no_autostart = true;
            break;
        case OPTION_JSON:
            client->json = true;
            break;
        case OPTION_VERSION:
            printf("supctl %s\n", SUPCTL_VERSION);
            exit(0);
        case OPTION_HELP:
            command_help(client->command);
            exit(0);
        case ARGUMENTS_WRONG:
            client_usage(client, "%s", why);
            return id;
        case ARGUMENTS_END:
            return id;
        default:
            if (!is_told(client, value)) {
                client_usage(client, "%s: is not UTF-8", value);
                return ARGUMENTS_WRONG;
            }
            *ret_value = value;
            return id;
        }
    }
}

char **client_words(const struct client *client, int *ret_count) {
    *ret_count = client->arguments.argc - optind;
    return client->arguments.argv + optind;
}

int client_usage(struct client *client, const char *what, ...) {
    if (!what)
        return EXIT_USAGE;
    char text[1024];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    const char *name = client->command ? client->command->name : "";
    print_error("%s%s%s (see supctl %s%s--help)", name, *name ? ": " : "", text, name, *name ? " " : "");
    return EXIT_USAGE;
}

int client_connect(struct client *client) {
    if (client->call)
        return 0;
    char why[1024];
    int fd = endpoint_connect(&client->endpoint, why);
    if (fd < 0) {
        print_error("%s", why);
        return -1;
    }
    int r = call_new(fd, &client->call);
    if (r < 0)
        print_error("the connection: %s", strerror(-r));
    return r < 0 ? -1 : 0;
}

static void on_pause(struct ev_loop *loop, struct ev_timer *timer, int events) {
    *(bool *)timer->data = true;
}

static void client_pause(struct client *client, bool (*over)(void *data), void *data) {
    struct ev_loop *loop = call_loop(client->call);
    bool passed = false;
    struct ev_timer timer;
    ev_now_update(loop);
    ev_timer_init(&timer, on_pause, RECONNECT_PAUSE, 0);
    timer.data = &passed;
    ev_timer_start(loop, &timer);
    while (!passed && !(over && over(data)))
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &timer);
}

int client_reconnect(struct client *client, bool (*over)(void *data), void *data) {
    char why[1024];
    int fd;
    for (int waits = 0; (fd = endpoint_connect_again(&client->endpoint, why)) < 0; waits++) {
        if (waits == RECONNECT_WAITS || (over && over(data)))
            return -1;
        if (waits == RECONNECT_TOLD)
            print_error("%s: the connection was lost: waiting for supd to be there again", client->command->name);
        client_pause(client, over, data);
    }
    return call_renew(client->call, fd) < 0 ? -1 : 0;
}

int client_call_again(struct client *client, const char *method, json_t *params, json_t **ret_result) {
    struct call_fault fault = {.text = "supd closed the connection"};
    bool limited = json_object_get(params, "limit");
    double until = now_mono() + json_number_value(json_object_get(params, "limit"));
    bool again = true;
    int r = -1;
    for (int tries = 0; r < 0 && again && tries < CALL_TRIES; tries++) {
        if (call_is_lost(client->call) && client_reconnect(client, NULL, NULL) < 0)
            break;
        if (limited)
            json_object_set_new(params, "limit", json_real(MAX(until - now_mono(), 0)));
        r = call_sync(client->call, method, json_incref(params), ret_result, &fault);
        again = fault.code == 0 && call_is_lost(client->call); // else it is refused
    }
    json_decref(params);
    if (r < 0)
        print_error("%s: %s", client->command->name, fault.text);
    return r;
}

int client_call(struct client *client, const char *what, const char *method, json_t *params, json_t **ret_result) {
    if (client_connect(client) < 0) {
        json_decref(params);
        return -1;
    }
    struct call_fault fault;
    if (call_sync(client->call, method, params, ret_result, &fault) == 0)
        return 0;
    print_error("%s: %s", what ? what : method, fault.text);
    return -1;
}

json_t *client_job(const char *word) {
    char *end;
    errno = 0;
    long long id = strtoll(word, &end, 10);
    bool is_id = end != word && *end == 0 && errno == 0;
    return is_id ? json_pack("{s:I}", "id", (json_int_t)id) : json_pack("{s:s}", "name", word);
}

int client_ids(struct client *client, char **words, int count, json_t **ret_ids) {
    json_t *ids = json_array();
    for (int i = 0; i < count; i++) {
        json_t *job = client_job(words[i]), *answer = NULL;
        json_t *id = json_incref(json_object_get(job, "id"));
        if (!id && client_call(client, words[i], "job.status", json_incref(job), &answer) == 0)
            id = json_incref(json_object_get(json_object_get(answer, "job"), "id"));
        json_decref(answer);
        json_decref(job);
        if (!id) {
            json_decref(ids);
            return -1;
        }
        json_array_append_new(ids, id);
    }
    *ret_ids = ids;
    return 0;
}
