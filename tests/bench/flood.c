// flood BYTES: writes that many bytes of text to stdout with large writes. Exits with 1 where it can't.
#include <stdio.h>

#include "common/util.h"

#define PIECE ((size_t)256 << 10)
#define LINE 64

int main(int argc, char **argv) {
    static char piece[PIECE];
    uint64_t left = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    if (left == 0) {
        fprintf(stderr, "usage: flood BYTES\n");
        return 2;
    }
    memset(piece, 'x', sizeof(piece));
    for (size_t i = LINE - 1; i < sizeof(piece); i += LINE)
        piece[i] = '\n';
    while (left > 0) {
        ssize_t n = write(STDOUT_FILENO, piece, MIN(left, (uint64_t)sizeof(piece)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 1;
        left -= (uint64_t)n;
    }
    return 0;
}
