// supctl: the command line of supd.
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "common/util.h"

static int supctl_refused(const struct client *client, int code) {
    return code < 0 ? client->command->refused : code;
}

static int supctl_command(struct client *client, int argc, char **argv) {
    const char *name = argv[0];
    const struct command *command = command_find(name);
    if (!command)
        return client_usage(client, "%s: no such command", name);
    client->command = command;
    arguments_done(&client->arguments);
    if (client_parse(client, argc, argv) < 0)
        return EXIT_CANNOT;
    return supctl_refused(client, command->run(client));
}

// A standard stream that was closed must not become the connection, or a log: what goes there goes nowhere.
static void fill_standard_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            exit(EXIT_CANNOT);
}

int main(int argc, char **argv) {
    fill_standard_streams();
    setlocale(LC_ALL, "");
    const char *no_autostart = getenv("SUPCTL_NO_AUTOSTART"), *socket = getenv("SUPD_SOCKET"), *value;
    struct client client = {
        .endpoint = {.socket = socket && *socket ? socket : NULL, .no_autostart = no_autostart && *no_autostart}};
    int code = EXIT_CANNOT;
    if (client_parse(&client, argc, argv) == 0) {
        int count;
        int option = client_option(&client, &value);
        char **words = client_words(&client, &count);
        if (option != ARGUMENTS_END)
            code = client_usage(&client, NULL);
        else if (count == 0)
            code = client_usage(&client, "needs a command");
        else
            code = supctl_command(&client, count, words);
    }
    call_free(client.call);
    arguments_done(&client.arguments);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "supctl: stdout: %s\n", strerror(errno));
        return code ? code : EXIT_REFUSED;
    }
    return code;
}
