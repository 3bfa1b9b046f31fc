// Reloading and leaving.
#include "daemon/renewal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/util.h"
#include "daemon/activation.h"
#include "daemon/control/admission.h"
#include "daemon/control/listener.h"
#include "daemon/keeper.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/own_table.h"
#include "daemon/store/history.h"

#define PATIENCE 2.0 // seconds for input on its way to a job, and for batches

enum { CHECK_MOST = 5000 }; // milliseconds for a program to say whether it would start

static void limits_apply(struct worker *w) {
    const struct config *c = &w->settings;
    w->control.limits = parts_limits(w);
    const struct history_limits retention = parts_retention(w);
    struct owner_limits shares;
    parts_shares(w, &shares);
    owners_set_limits(w->owners, &shares);
    admission_review(&w->control);
    w->control.refuses_undurable = c->store_full == STORE_FULL_REFUSE;
    runner_set_limits(w->runner, c->max_live_jobs, parts_memory_jobs(w), parts_memory_bytes(w));
    if (w->history)
        history_set_limits(w->history, &retention);
    listener_resume(w->listener);
}

int renewal_reload(void *worker, const char *later[CONTROL_LATER], char why[256]) {
    struct worker *w = worker;
    struct config config;
    kept_ask(w->kept->head, KEPT_ASK_RELOADING);
    int count = options_reload(w->options, &config, why);
    if (count == 0) {
        count = config_change(&w->settings, &config, later, CONTROL_LATER);
        config_keep(w->settings_kept, &w->settings);
        limits_apply(w);
    }
    kept_ask(w->kept->head, KEPT_ASK_READY);
    if (count < 0)
        log_error(&w->log, "the settings stay as they are: %s", why);
    else
        log_info(&w->log, "the settings were read again");
    for (int i = 0; i < count; i++)
        log_warning(&w->log, "setting %s counts from the next start, or supctl daemon reexec, on", later[i]);
    return count;
}

void renewal_on_hangup(struct worker *w) {
    const char *later[CONTROL_LATER] = {NULL};
    char why[256];
    renewal_reload(w, later, why);
}

static void on_patience(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    w->gone = true;
}

// The loop waits for it, but not for ever.
static int check_wait(pid_t pid) {
    int status = -1;
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int left = CHECK_MOST, r = -1;
    for (double until = now_mono() + CHECK_MOST / 1000.0; fd >= 0 && left > 0;
         left = (int)((until - now_mono()) * 1000))
        if ((r = poll(&end, 1, left)) >= 0 || errno != EINTR) // other children end meanwhile
            break;
    if (r <= 0)
        kill(pid, SIGKILL); // our child, not waited for: the number is its own
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

// Whether the program that is installed now would start at all as we were started. It takes some milliseconds.
static bool program_is_sound(void *data) {
    const struct options *o = data;
    size_t count = 0;
    while (o->argv[count])
        count++;
    _cleanup_free_ char **argv = calloc(count + 2, sizeof(*argv));
    pid_t pid;
    char check[] = "--check";
    if (!argv)
        return false;
    memcpy(argv, o->argv, count * sizeof(*argv));
    argv[count] = check;
    if (own_table_spawn(o->program, argv, -1, &pid) < 0)
        return false;
    int status = check_wait(pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int renewal_reexec(void *worker) {
    struct worker *w = worker;
    if (w->kept->head->keeper <= 0 || w->kept->head->fd < 0)
        return -EOPNOTSUPP;
    if (w->leaving)
        return 0;
    if (!own_table_call(program_is_sound, (void *)(uintptr_t)w->options))
        return -EINVAL;
    log_info(&w->log, "%s: leaving %lld jobs to it",
             w->for_manager ? "restart by the service manager" : "another program goes on",
             (long long)runner_stats(w->runner)->live);
    w->leaving = true;
    ev_timer_init(&w->patience, on_patience, PATIENCE, 0);
    w->patience.data = w;
    ev_timer_start(w->loop, &w->patience);
    return 0;
}

bool renewal_for_manager(struct worker *w) {
    if (w->leaving || w->kept->head->fd < 0 || w->kept->head->leave_failed ||
        !activation_is_restart(w->options->system))
        return w->leaving;
    w->for_manager = true;
    w->for_manager = renewal_reexec(w) == 0; // where the next one would not start nobody would end what runs
    return w->for_manager;
}

bool renewal_may_leave(const struct worker *w) {
    return w->gone || control_is_handy(&w->control);
}

int renewal_leave(struct worker *w) {
    int *fds;
    launcher_pause(w->launcher);
    control_leave(&w->control);
    if (w->history)
        history_settle(w->history, w->kept->head->next_job, w->kept->head->last_event + 1);
    history_close(TAKE_PTR(w->history));
    ssize_t count = parts_descriptors(w->kept, &fds);
    if (count < 0)
        return WORKER_FAILED; // another worker of this program, then
    // Here, as the keeper's exec, or its end, would wait for a close that hangs.
    descriptors_keep(fds, (size_t)count);
    for (ssize_t i = 0; i < count; i++)
        fcntl(fds[i], F_SETFD, 0); // the next worker sets it again
    free(fds);
    return w->for_manager ? WORKER_LEFT : WORKER_REEXEC;
}
