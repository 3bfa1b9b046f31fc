// closing: the end of descriptors that come from others.
//
// Two kinds of close wait, be the descriptor non-blocking or not:
// - The last close of a socket, for as long as whoever made it said (SO_LINGER, socket(7)); for a TCP socket whose peer reads
//   nothing that is as long as they like. A signal ends that wait, and the socket goes on by itself: so such a close is one
//   under a clock.
// - Any close of a file whose file system asks somebody: FUSE's server (FUSE_FLUSH), which may be a user's program that never
//   answers, or one on the network. Not even SIGKILL ends that wait: so such a close is a process's of its own, by whoever
//   runs those (daemon/os/closer).
// For the thread that takes SIGALRM, which gets a handler that does nothing.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct closing_host {
    bool (*may)(uid_t from, void *data);           // whether more of theirs may come
    bool (*close)(int fd, uid_t from, void *data); // takes it over, or returns false
    void *data;
};
// From now on; borrowed. NULL: there is none, and all are closed here.
void closing_set_host(const struct closing_host *host);

bool closing_may_take(uid_t from); // descriptors of that user: not while many of theirs are not closed yet
bool closing_may_hang(int fd);     // its close does, not even SIGKILL ends it
// Of a file system whose server is, or may be, a program of somebody's: a FUSE, and what is mounted where this process can't see
// it. What is done with it may take as long as they like.
bool closing_is_foreign(int fd);
void closing_close(int fd, uid_t from); // of one that somebody has passed: some milliseconds at most
// Of a connection, in which others may lie that were not received: they are closed with it.
void closing_connection(int fd);
// Between these a wait of a kernel that drops descriptors does not last.
void closing_clock_start(void);
void closing_clock_stop(void);
