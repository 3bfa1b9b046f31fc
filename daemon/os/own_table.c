// A thread for it.
#include "daemon/os/own_table.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

struct call {
    bool (*function)(void *data);
    void *data;
    bool result;
};

// The table is copied only up to where it is cut: nothing else is ever in the copy (close_range(2), Linux 5.9).
static void *call_run(void *data) {
    struct call *call = data;
    call->result = close_range(3, ~0U, CLOSE_RANGE_UNSHARE) == 0 && call->function(call->data);
    return NULL;
}

bool own_table_call(bool (*function)(void *data), void *data) {
    struct call call = {.function = function, .data = data};
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all); // a handler of the loop's would write to a descriptor that is not there
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, NULL, call_run, &call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return false;
    pthread_join(thread, NULL);
    return call.result;
}

int own_table_spawn(const char *program, char *const *argv, int out, pid_t *ret_pid) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    int r = -posix_spawnp(ret_pid, program, &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return r;
}
