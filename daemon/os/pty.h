// pty: a terminal for a job: its master end, which supd keeps, and its slave end, which the job gets.
#pragma once

// Opens a new pair of that size (pty(7); TIOCGPTPEER, Linux 4.13). Returns the master (non-blocking, CLOEXEC) and the
// slave (CLOEXEC; nobody's controlling terminal yet), or a negative errno.
int pty_open(unsigned rows, unsigned cols, int *ret_slave);

// By the master's descriptor: tells the processes in the foreground by SIGWINCH. Returns 0 or a negative errno.
int pty_resize(int master, unsigned rows, unsigned cols);

// What to type so that a reader sees an end of file: how many of the character `ret_character`. Twice where a line is
// begun, as the first one only hands that over (termios(3), VEOF). `master`: negative for a terminal not yet made.
int pty_eof(int master, int line_begun, char *ret_character);
