// paths: where daemon and client meet by default.
#pragma once

#include <stddef.h>

#define PATHS_SYSTEM_SOCKET "/run/supd/socket"

// The user's socket: under $XDG_RUNTIME_DIR, else in a directory of /tmp. Returns 0 or -ENAMETOOLONG.
int paths_user_socket(char *path, size_t size);
