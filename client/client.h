// client: what every command needs: which daemon, how to print, the connection.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "client/arguments.h"
#include "client/call.h"
#include "client/endpoint.h"

struct client;

// One command, one file: command_NAME.c.
struct command {
    const char *name;
    const char *usage;   // what follows the name
    const char *summary; // one line
    const char *help;    // more of it, lines ended by \n; or NULL
    const struct argument *arguments;
    bool has_spec; // takes the options of a job's spec too
    int refused;   // exit code where supd refuses or can't be reached
    int (*run)(struct client *client);
};

struct client {
    const struct command *command;
    struct endpoint endpoint;
    bool json;
    struct arguments arguments; // of the command
    struct call *call;          // after client_connect
};

extern const struct command commands[]; // ends with a NULL name
const struct command *command_find(const char *name);
void command_help(const struct command *command); // NULL: of supctl

extern const struct command command_run, command_start, command_status, command_logs, command_wait, command_kill,
    command_attach, command_send, command_resize, command_events, command_forget, command_info, command_stats,
    command_daemon, command_rpc, command_help_command;

// Begins with the command line of client->command (NULL: of supctl itself). Returns 0 or -ENOMEM.
int client_parse(struct client *client, int argc, char **argv);

// The next option of the command, those that every command has done already: its id with the value, or
// ARGUMENTS_END; or ARGUMENTS_WRONG after complaining, after which the command returns client_usage(client, NULL).
int client_option(struct client *client, const char **ret_value);

// The words that are no options, after ARGUMENTS_END.
char **client_words(const struct client *client, int *ret_count);

// Complains of the command line (`what`: NULL where that was done). Returns EXIT_USAGE.
__attribute__((format(printf, 2, 3))) int client_usage(struct client *client, const char *what, ...);

// Connects, starting the daemon where that is due. Returns 0, or -1 after saying why not.
int client_connect(struct client *client);

// Connects anew after the connection was lost, to where it led, for as long as a restart may take, unless `over` says that
// nobody wants it any more (NULL: all do); starts no daemon. The call's loop runs meanwhile. Returns 0 or -1.
int client_reconnect(struct client *client, bool (*over)(void *data), void *data);

// One call and its answer, over another connection where this one is lost, which may be lost again at once: so many times in
// a row. A "limit" of `params`, in seconds, is that of all tries together. Takes `params` over. Returns 0 and the result, or
// -1 after saying why not. Connected before.
int client_call_again(struct client *client, const char *method, json_t *params, json_t **ret_result);

// A call with its answer, connecting first where that was not done. Takes `params` over. Returns 0 and the result, or
// -1 after saying why not. `what`: whom the error is about; NULL: nobody in particular.
int client_call(struct client *client, const char *what, const char *method, json_t *params, json_t **ret_result);

// {"id": N} or {"name": NAME} for a word of the command line.
json_t *client_job(const char *word);

// The ids of several words; names are looked up. Returns 0 and a new array, or -1 after saying which is not there.
int client_ids(struct client *client, char **words, int count, json_t **ret_ids);
