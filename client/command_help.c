// supctl help, and the table of commands.
#include <ctype.h>
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "common/util.h"

static int help_run(struct client *client) {
    const char *value;
    int count;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    const struct command *command = count > 0 ? command_find(words[0]) : NULL;
    if (count > 1 || (count == 1 && !command))
        return client_usage(client, "%s: no such command", words[count - 1]);
    command_help(command);
    return 0;
}

const struct command command_help_command = {
    "help", "[COMMAND]", "what a command does, and its options", NULL, NULL, false, EXIT_REFUSED, help_run};

static const struct command *const every[] = {
    &command_run,    &command_start,  &command_status, &command_logs,         &command_wait,   &command_kill,
    &command_attach, &command_send,   &command_resize, &command_events,       &command_forget, &command_info,
    &command_stats,  &command_daemon, &command_rpc,    &command_help_command,
};

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(every); i++)
        if (streq(every[i]->name, name))
            return every[i];
    return NULL;
}

static void command_help_options(const struct command *command) {
    struct client client = {.command = command};
    char *argv[] = {NULL};
    if (client_parse(&client, 0, argv) < 0)
        return;
    arguments_help(&client.arguments);
    arguments_done(&client.arguments);
}

static void command_help_all(void) {
    printf("Usage: supctl [OPTION]... COMMAND [ARGUMENT]...\n"
           "Runs commands under supd and looks after them.\n\nCommands:\n");
    for (size_t i = 0; i < ARRAY_SIZE(every); i++)
        printf("  %-8s %s\n", every[i]->name, every[i]->summary);
    printf("\nOptions:\n");
    command_help_options(NULL);
    printf("\nDurations take ms, s, m, h, d; sizes K, M, G. A job's NAME can stand wherever its ID can.\n"
           "Exit codes of run and wait: the command's own; 128+N: ended by signal N; 124: a timeout;\n"
           "125: supctl or supd failed; 126: not executable; 127: not found. Of the others: 0, 1 refused, 2 usage.\n");
}

void command_help(const struct command *command) {
    if (!command) {
        command_help_all();
        return;
    }
    printf("Usage: supctl %s %s\n%c%s.\n", command->name, command->usage, toupper((unsigned char)command->summary[0]),
           command->summary + 1);
    if (command->help)
        printf("\n%s", command->help);
    printf("\nOptions:\n");
    command_help_options(command);
    if (command->has_spec)
        printf("\nDURATION: a number with ms, s, m, h or d; SIZE: with K, M or G; PATH: + before it appends.\n");
}
