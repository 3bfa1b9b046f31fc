// parts: what the worker is put together from. For the files of this folder.
#pragma once

#include "daemon/control/control.h"
#include "daemon/instance.h"
#include "daemon/options.h"
#include "daemon/os/kept.h"
#include "daemon/rest.h"

struct adopted;
struct closer;
struct listener;

struct worker {
    const struct options *options;
    struct config settings; // those of the options, with what was reloaded
    struct config_kept *settings_kept;
    struct kept *kept;
    bool resumed; // another worker was here before
    struct adopted *adopted;
    struct log log;
    struct ev_loop *loop;
    struct instance instance;
    struct identity *identity;     // the daemon's own
    struct identities *identities; // of those it serves
    struct owners *owners;
    struct closer *closer;
    struct launcher *launcher;
    struct descriptors descriptors;
    struct tree_host *trees;
    struct spool_host *spools;
    struct registry *registry;
    struct history *history;
    char *store_trouble; // owned: why there is none
    struct runner *runner;
    struct control control;
    struct listener *listener;
    int reaper_fd;
    struct ev_signal term, interrupt, hangup;
    struct ev_async nudge; // see common/watch.h
    struct ev_timer idle;
    struct rest rest;
    struct ev_io keeper; // its end
    int keeper_fd;
    struct ev_prepare end; // leaves once the last job is final and its answers are queued
    struct ev_timer beat;
    bool for_manager;             // leaving, it leaves all to the service manager, to be started again
    struct ev_timer patience;     // of one that waits to give way to another program
    bool stopping, leaving, gone; // leaving: for another; gone: it can
};

struct control_limits parts_limits(const struct worker *w); // likewise
struct history_limits parts_retention(const struct worker *w);
void parts_shares(const struct worker *w, struct owner_limits *ret_limits); // as the settings are now
int64_t parts_memory_jobs(const struct worker *w);                          // final ones, at most; and their output
int64_t parts_memory_bytes(const struct worker *w);
struct ev_loop *parts_loop(void); // NULL when memory is out
// Each returns 0 or a negative errno, and has logged it. In this order; recovery_run goes before the listener.
int parts_take_over(struct kept *kept);
int parts_open(struct worker *w);
int parts_go_on(struct worker *w);
void parts_close(struct worker *w); // after an end in order: the socket goes too
// The descriptors that the next worker will go on with. Returns how many are in *ret_fds, the caller's, or -ENOMEM.
ssize_t parts_descriptors(struct kept *kept, int **ret_fds);
