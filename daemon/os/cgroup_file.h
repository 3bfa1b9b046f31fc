// cgroup_file: the small files of a cgroup, read and written as a whole.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// The text of `name` below the directory `dir`, ended by a NUL. Returns its length or a negative errno.
ssize_t cgroup_file_read(int dir, const char *name, char *text, size_t size);
ssize_t cgroup_file_again(int fd, char *text, size_t size);         // the same of one that is open
int cgroup_file_write(int dir, const char *name, const char *text); // 0 or a negative errno
