// ancillary: descriptors beside the bytes of a UNIX stream socket (SCM_RIGHTS, unix(7)).
//
// They belong to the byte with which they were sent. A receive never goes on behind the bytes of that send, but may begin
// before them, and says nothing of where. So what is there is looked at (MSG_PEEK) before it is taken, and where
// descriptors are on their way the first byte of each line is taken alone. (A look shows those of all that waits, however
// short it is: seen on Linux 6.18.)
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ANCILLARY_MAX = 3 }; // with one message: a job's stdin, stdout and stderr

struct ancillary {
    int fds[ANCILLARY_MAX]; // CLOEXEC; owned
    int count;
    uid_t from;    // who is held to account for them until they are closed
    bool too_many; // more came than can be had, and all are closed
};

// Receives without blocking, as recv(2), less where descriptors are on their way. `begins`: the next byte is the first of a
// line; what came along with it goes to *ret_ancillary, also when that is nothing. What came with any other is dropped, and so is
// all that comes from a user of whom no more are taken now (closing_may_take): as too many.
ssize_t ancillary_recv(int fd, void *data, size_t size, bool begins, uid_t from, struct ancillary *ret_ancillary);
// Sends without blocking, as send(2), with `count` descriptors beside the first byte; they stay the caller's.
ssize_t ancillary_send(int fd, const void *data, size_t size, const int *fds, int count);
void ancillary_close(struct ancillary *ancillary); // and empties it
