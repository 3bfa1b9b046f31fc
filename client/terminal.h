// terminal: the terminal at this process's stdin, in raw mode and as it was again, however the process ends.
#pragma once

#include <stdbool.h>

// Rows and columns of the terminal at stdin, stdout or stderr. False: none of them is one, or it does not say.
bool terminal_size(unsigned *ret_rows, unsigned *ret_cols);

// What is typed comes as it is typed, signal characters too. From here on the terminal is restored at exit and before
// a signal ends the process. Returns 0 or a negative errno.
int terminal_raw(void);
void terminal_restore(void); // without effect where it is not raw
bool terminal_is_raw(void);
