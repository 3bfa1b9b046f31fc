// replay: gives a target each of the files named, in builds that have no libFuzzer: targets and seeds are held by every test run.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void fail(const char *path) {
    perror(path);
    exit(1);
}

// Of its own size, so that a look behind its end is seen.
static void replay(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file || fseek(file, 0, SEEK_END) < 0)
        fail(path);
    long size = ftell(file);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size);
    rewind(file);
    if ((size > 0 && !data) || fread(data, 1, (size_t)size, file) != (size_t)size)
        fail(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    return 0;
}
