// supd: the daemon.
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/message.h"
#include "common/openrpc.h"
#include "common/util.h"
#include "daemon/activation.h"
#include "daemon/keeper.h"
#include "daemon/options.h"
#include "daemon/parts.h"
#include "daemon/version.h"
#include "daemon/worker.h"

static int describe(void) {
    json_t *document = openrpc_document(SUPD_VERSION);
    int r = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;
    json_decref(document);
    return r < 0 || puts("") < 0 ? 1 : 0;
}

struct daemon {
    const struct options *options;
    struct config_kept *settings; // shared with the worker
    struct kept kept;
};

static int work(void *data) {
    struct daemon *daemon = data;
    return worker_run(daemon->options, daemon->settings, &daemon->kept);
}

// What the program before us left for us, as it turned into us; or nothing yet.
static int kept_open(struct kept *ret_kept) {
    const char *fd = getenv("SUPD_KEPT");
    struct activation activation;
    char number[16];
    if (fd && kept_inherit(ret_kept, atoi(fd)) == 0)
        return 0;
    activation_take(&activation);
    int r = activation.kept >= 0 ? kept_resume(ret_kept, activation.kept) : -ENOENT;
    if (r < 0)
        r = kept_new(ret_kept);
    if (r < 0)
        return r;
    if (ret_kept->head->listener > 0)
        fd_close(activation.listener); // the same as the one that was kept
    else
        ret_kept->head->foreign_listener = MAX(activation.listener, 0);
    snprintf(number, sizeof(number), "%d", KEPT_FORM);
    setenv("SUPD_KEPT_FORM", number, 1);
    snprintf(number, sizeof(number), "%d", ret_kept->head->fd);
    setenv("SUPD_KEPT", number, 1); // jobs have an environment of their own
    return 0;
}

// No fault, as they may come to the user database later; but most often a slip of whoever wrote them.
static void tell_unknown(const struct access *access) {
    for (size_t i = 0; i < access->count; i++) {
        const struct access_entry *entry = &access->entries[i];
        bool is_group = entry->kind == ACCESS_GROUP || entry->kind == ACCESS_ADMIN_GROUP;
        bool is_known = !entry->name[0] || (is_group ? getgrnam(entry->name) != NULL : getpwnam(entry->name) != NULL);
        if (!is_known)
            fprintf(stderr, "supd: warning: access: no %s is called %s here\n", is_group ? "group" : "user",
                    entry->name);
    }
}

// The options are sound, or we would not be here. Whoever wants us to go on with what is kept says in which form it is.
static int check(const struct options *options) {
    const char *form = getenv("SUPD_KEPT_FORM");
    if (!form)
        tell_unknown(&options->settings.access);
    if (!form || atoi(form) <= KEPT_FORM)
        return 0;
    fprintf(stderr, "supd: jobs are kept in form %s, and this program knows up to %d only\n", form, KEPT_FORM);
    return 2;
}

static int leave(void *data) {
    struct daemon *daemon = data;
    int *fds;
    ssize_t count = parts_descriptors(&daemon->kept, &fds);
    return count < 0 ? (int)count : activation_leave(&daemon->kept, fds, (size_t)count);
}

static int serve(const struct options *options, char **argv) {
    struct log log;
    struct daemon daemon = {.options = options};
    log_init(&log, options->log_level);
    if (options->system && geteuid() == 0) // a core would bring what users gave their jobs to the disk
        prctl(PR_SET_DUMPABLE, 0);
    daemon.settings = mmap(NULL, sizeof(*daemon.settings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (daemon.settings == MAP_FAILED) {
        log_error(&log, "memory for settings: %s", strerror(errno));
        return WORKER_FAILED;
    }
    config_keep(daemon.settings, &options->settings);
    signal(SIGCHLD, SIG_DFL); // ignored, as whoever starts us may have it, no end of a child would come with its status
    int r = kept_open(&daemon.kept);
    if (r < 0) {
        log_error(&log, "memory that is kept: %s", strerror(-r));
        return WORKER_FAILED;
    }
    if (options->no_keeper)
        return work(&daemon);
    const struct keeper keeper = {
        .kept = &daemon.kept, .log = &log, .work = work, .data = &daemon, .leave = leave, .argv = argv};
    return keeper_run(&keeper);
}

int main(int argc, char **argv) {
    struct options options;
    int r = options_parse(argc, argv, &options);
    int status = r < 0 ? 2 : 0;
    if (r == 0)
        status = options.describe ? describe() : options.check ? check(&options) : serve(&options, argv);
    options_done(&options);
    return status;
}
