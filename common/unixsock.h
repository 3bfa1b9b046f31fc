// unixsock: UNIX stream sockets by path.
#pragma once

#include <sys/types.h>

// Listens at `path`, replacing a socket there that nobody answers on. Mode of the socket file: `mode`.
// Returns the descriptor (non-blocking, CLOEXEC), or -EADDRINUSE where somebody answers, -ENAMETOOLONG,
// -ENOTSOCK where something else is at the path, or another negative errno.
int unixsock_listen(const char *path, mode_t mode);

// Connects. Returns the descriptor (blocking, CLOEXEC) or a negative errno.
int unixsock_connect(const char *path);

// Who connected, as of then (SO_PEERCRED, unix(7)). Returns 0 or a negative errno.
int unixsock_peer(int fd, uid_t *ret_uid, pid_t *ret_pid);
