// watch: what a test sees of processes and of its own descriptors, by /proc.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

int watch_descriptors(void);         // how many this process has open
int watch_threads(void);             // that it has
void watch_until_threads(int count); // have so many
char watch_state(pid_t pid);         // as in proc(5), such as 'S' or 'Z'; 0: there is no such process
bool watch_alive(pid_t pid);         // there, and no zombie
void watch_until_gone(pid_t pid);    // until it is not alive, however long that takes
void watch_until(pid_t pid, char state);
size_t watch_children(void); // of this process, zombies included
// All that comes until the end of the pipe, NUL-terminated; at most size - 1 bytes. Returns how many.
size_t watch_read(int fd, char *text, size_t size);
// Reads until a whole line is there, without its newline.
void watch_line(int fd, char *line, size_t size);
