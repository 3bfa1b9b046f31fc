// supctl send.
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/print.h"
#include "common/buffer.h"
#include "common/bytes.h"
#include "common/util.h"

enum { SEND_EOF = 1, SEND_PIECE = 256 * 1024 };

static const struct argument send_arguments[] = {
    {"eof", NULL, "close the job's stdin after it", SEND_EOF},
    {NULL},
};

// The job, once found: its name may be another's later.
struct sending {
    struct client *client;
    const char *word; // how it was named
    json_t *id;       // borrowed
};

static int send_piece(const struct sending *to, const char *bytes, size_t size, bool eof) {
    json_t *params = json_pack("{s:O}", "id", to->id), *answer = NULL;
    bytes_to_json(params, bytes, size, false);
    json_object_set_new(params, "eof", json_boolean(eof));
    int r = client_call(to->client, to->word, "job.input", params, &answer);
    if (r == 0 && to->client->json)
        print_json(answer);
    json_decref(answer);
    return r;
}

static int send_words(const struct sending *to, char **words, int count, bool eof) {
    struct buffer line = {0};
    for (int i = 0; i < count; i++) {
        buffer_append(&line, words[i], strlen(words[i]));
        buffer_append(&line, i + 1 < count ? " " : "\n", 1);
    }
    int r = send_piece(to, buffer_head(&line), buffer_size(&line), eof);
    buffer_done(&line);
    return r;
}

static int send_stdin(const struct sending *to, bool eof) {
    _cleanup_free_ char *piece = malloc(SEND_PIECE);
    ssize_t n = 1;
    int r = piece ? 0 : -1;
    while (r == 0 && n > 0) {
        n = read(STDIN_FILENO, piece, SEND_PIECE);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            r = send_piece(to, piece, (size_t)n, false);
    }
    if (r == 0 && n < 0) {
        print_error("send: stdin: %s", strerror(errno));
        return -1;
    }
    return r == 0 && eof ? send_piece(to, "", 0, true) : r;
}

static int send_run(struct client *client) {
    const char *value;
    bool eof = false;
    int id, count;
    while ((id = client_option(client, &value)) != ARGUMENTS_END) {
        if (id == ARGUMENTS_WRONG)
            return client_usage(client, NULL);
        eof = true;
    }
    char **words = client_words(client, &count);
    if (count == 0)
        return client_usage(client, "needs the ID or NAME of a job");
    json_t *ids;
    if (client_ids(client, words, 1, &ids) < 0)
        return -1;
    struct sending to = {client, words[0], json_array_get(ids, 0)};
    int r = count > 1 ? send_words(&to, words + 1, count - 1, eof) : send_stdin(&to, eof);
    json_decref(ids);
    return r;
}

const struct command command_send = {
    "send",
    "[OPTION]... ID [WORD]...",
    "gives a job input: the words and a newline, else this command's stdin",
    "The job was started with --stdin stream, or with a terminal, to which it is typed. Returns once it was taken;\n"
    "where the job takes no more, it says how much was.\n",
    send_arguments,
    false,
    EXIT_REFUSED,
    send_run};
