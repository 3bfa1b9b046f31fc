// supctl resize.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "client/terminal.h"
#include "common/util.h"

// Returns the number, or 0 for a word that is none of a terminal's.
static unsigned resize_number(const char *word) {
    char *end;
    long number = strtol(word, &end, 10);
    return end == word || *end || number < 1 || number > UINT16_MAX ? 0 : (unsigned)number;
}

static int resize_run(struct client *client) {
    const char *value;
    unsigned rows = 0, cols = 0;
    int count;
    json_t *answer = NULL;
    if (client_option(client, &value) != ARGUMENTS_END)
        return client_usage(client, NULL);
    char **words = client_words(client, &count);
    if (count != 1 && count != 3)
        return client_usage(client, "needs the ID or NAME of a job, and both ROWS and COLS or neither");
    if (count == 1 && !terminal_size(&rows, &cols))
        return client_usage(client, "there is no terminal here whose size to take: name ROWS and COLS");
    if (count == 3 && (!(rows = resize_number(words[1])) || !(cols = resize_number(words[2]))))
        return client_usage(client, "%s %s: ROWS and COLS are numbers from 1 to 65535", words[1], words[2]);
    json_t *params = client_job(words[0]);
    json_object_set_new(params, "rows", json_integer(rows));
    json_object_set_new(params, "cols", json_integer(cols));
    int r = client_call(client, words[0], "job.resize", params, &answer);
    if (r == 0 && client->json)
        print_json(answer);
    json_decref(answer);
    return r;
}

const struct command command_resize = {"resize",
                                       "ID [ROWS COLS]",
                                       "gives a job's terminal another size: this terminal's, or the one named",
                                       NULL,
                                       NULL,
                                       false,
                                       EXIT_REFUSED,
                                       resize_run};
