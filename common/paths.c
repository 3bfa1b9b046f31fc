// Default paths.
#include "common/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int paths_user_socket(char *path, size_t size) {
    const char *run = getenv("XDG_RUNTIME_DIR");
    int n = run && run[0] == '/' ? snprintf(path, size, "%s/supd/socket", run)
                                 : snprintf(path, size, "/tmp/supd-%u/socket", (unsigned)geteuid());
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
