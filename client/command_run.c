// supctl run and supctl start.
#include <signal.h>
#include <stdio.h>

#include "client/client.h"
#include "client/exit_code.h"
#include "client/following.h"
#include "client/job_spec.h"
#include "client/outcome.h"
#include "client/print.h"
#include "client/terminal.h"
#include "common/util.h"

enum { RUN_DETACH = JOB_SPEC_OTHER, RUN_RM, RUN_TTY, RUN_PIPE };

static const struct argument run_arguments[] = {
    {"d,detach", NULL, "print the job's ID and leave it running", RUN_DETACH},
    {"pipe", NULL, "it gets the stdin, stdout and stderr of this command itself: nothing is captured", RUN_PIPE},
    {"t,tty", NULL, "give it a terminal; stopped by SIGHUP unless said otherwise", RUN_TTY},
    {"n,no-stdin", NULL, "the command reads nothing", JOB_SPEC_NO_STDIN},
    {"rm", NULL, "forget the job when it is over", RUN_RM},
    JOB_SPEC_ARGUMENTS,
    {NULL},
};

static int run_detached(struct client *client, json_t *spec) {
    json_t *answer = NULL;
    if (client_call(client, "start", "job.start", spec, &answer) < 0)
        return -1;
    const json_t *job = json_object_get(answer, "job");
    if (client->json)
        print_json(job);
    else
        printf("%lld\n", (long long)json_integer_value(json_object_get(job, "id")));
    const char *reason = outcome_reason(job);
    int code = reason && streq(reason, "spawn_failed") ? exit_code(job) : 0;
    if (code)
        outcome_tell(job);
    json_decref(answer);
    return code;
}

static int run_attached(struct client *client, json_t *spec, bool reads) {
    json_t *job = NULL;
    if (following_run(client, spec, reads, &job) < 0)
        return -1;
    if (client->json)
        print_json(job);
    else
        outcome_tell(job);
    int code = exit_code(job);
    json_decref(job);
    return code;
}

// A terminal like ours, where we have one.
static void run_add_tty(json_t *spec) {
    unsigned rows, cols;
    const char *term = getenv("TERM");
    json_t *pty = json_object();
    if (terminal_size(&rows, &cols)) {
        json_object_set_new(pty, "rows", json_integer(rows));
        json_object_set_new(pty, "cols", json_integer(cols));
    }
    if (term && *term)
        json_object_set_new(pty, "term", json_string(term));
    json_object_set_new(spec, "pty", pty);
    if (!json_object_get(spec, "stop_signal"))
        json_object_set_new(spec, "stop_signal", json_string("SIGHUP")); // shells at a terminal ignore SIGTERM
}

// Those streams that are not said to be something else are ours: which, and how many.
static int run_lend(const json_t *spec, int fds[3]) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    int count = 0;
    for (int i = 0; i < 3; i++) {
        const char *word = json_string_value(json_object_get(spec, names[i]));
        if (word && streq(word, "fd"))
            fds[count++] = i;
    }
    return count;
}

static void run_add_pipe(struct job_spec *job) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    for (int i = 0; i < 3; i++)
        if (!json_object_get(job->spec, names[i]) && !(i == 0 && job->no_stdin))
            json_object_set_new(job->spec, names[i], json_string("fd"));
}

static int run_options(struct client *client, struct job_spec *job, bool *detach) {
    const char *value;
    int id, r = 0;
    bool tty = false, pipe = false;
    while (r == 0 && (id = client_option(client, &value)) != ARGUMENTS_END) {
        if (id == RUN_DETACH)
            *detach = true;
        else if (id == RUN_RM)
            json_object_set_new(job->spec, "retain", json_integer(0));
        else if (id == RUN_TTY)
            tty = true;
        else if (id == RUN_PIPE)
            pipe = true;
        else
            r = job_spec_option(client, job, id, value);
    }
    if (r == 0 && tty && pipe)
        r = client_usage(client, "-t and --pipe do not go together: a terminal is all three streams");
    if (r == 0 && tty)
        run_add_tty(job->spec);
    if (r == 0 && pipe)
        run_add_pipe(job);
    return r;
}

static int run_any(struct client *client, bool detach) {
    struct job_spec job = {.spec = json_object()};
    int r = run_options(client, &job, &detach);
    job.streams = !detach && !client->json;
    if (r == 0)
        r = job_spec_finish(client, &job, detach ? "job.start" : "job.run");
    if (r != 0) {
        json_decref(job.spec);
        return r;
    }
    int fds[3], count = run_lend(job.spec, fds);
    if (client_connect(client) < 0) {
        json_decref(job.spec);
        return -1;
    }
    call_lend(client->call, fds, count);
    if (detach)
        return run_detached(client, job.spec);
    return run_attached(client, job.spec, !job.no_stdin && !client->json);
}

static int run_run(struct client *client) {
    return run_any(client, false);
}

static int start_run(struct client *client) {
    return run_any(client, true);
}

const struct command command_run = {
    "run",
    "[OPTION]... [--] COMMAND [ARGUMENT]...",
    "runs a command with this directory and environment, and leaves with its exit code",
    "Its output comes as it is printed, losslessly. It reads this command's stdin, unless that is a terminal. SIGINT, "
    "SIGTERM, "
    "SIGHUP,\n"
    "SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH go to all its processes. It ends when supctl does.\n"
    "With -t it has a terminal, which is driven from this one. With --pipe it reads and writes where this command "
    "does,\n"
    "at no cost; -n and --stdin, --stdout, --stderr say what is not to be handed over.\n",
    run_arguments,
    true,
    EXIT_CANNOT,
    run_run};
const struct command command_start = {"start",
                                      "[OPTION]... [--] COMMAND [ARGUMENT]...",
                                      "starts a command, prints its ID and leaves it running",
                                      "supctl logs, wait, status and kill take the ID. The same as supctl run -d.\n",
                                      run_arguments + 1, // it always detaches
                                      true,
                                      EXIT_CANNOT,
                                      start_run};
