// fuzz_units: any text as a duration, a size, an instant, a signal; and any number as text.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/units.h"
#include "common/util.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(double number, int64_t bytes) {
    char text[32];
    if (strlen(units_duration(number, text)) >= sizeof(text) || strlen(units_size(bytes, text)) >= sizeof(text) ||
        strlen(units_instant(number, text)) >= sizeof(text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    double number = 0, raw;
    int64_t bytes = 0, bits = input_number(&in);
    memcpy(&raw, &bits, sizeof(raw));
    show(raw, bits);
    _cleanup_free_ char *text = strndup((const char *)in.at, in.size);
    if (!text)
        exit(1);
    if (units_parse_duration(text, &number) == 0 && !(number >= 0))
        abort();
    if (units_parse_size(text, &bytes) == 0 && bytes < 0)
        abort();
    show(number, bytes);
    if (units_parse_instant(text, 1e9, &number) == 0)
        show(number, 0);
    const char *signal = units_parse_signal(text);
    if (signal && !units_parse_signal(signal))
        abort();
    return 0;
}
