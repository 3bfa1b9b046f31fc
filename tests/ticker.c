// ticker: prints numbered lines until a file appears: what a job does whose every line is counted.
//
// ticker FILE MILLISECONDS: "line N" to stdout, every seventh time "err N" to stderr; in the end "total N". Exits with N
// modulo 50.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    long ms = atol(argv[2]), n = 0;
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    setlinebuf(stdout);
    while (access(argv[1], F_OK) < 0) {
        n++;
        printf("line %ld\n", n);
        if (n % 7 == 0)
            fprintf(stderr, "err %ld\n", n);
        nanosleep(&pause, NULL);
    }
    printf("total %ld\n", n);
    return (int)(n % 50);
}
