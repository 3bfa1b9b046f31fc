// Modes of a terminal: private ones set by ESC [ ? NUMBERS h, reset by l (xterm, ctlseqs).
#include "client/screen.h"

#include "common/util.h"

enum { ESC = 0x1b };

static bool is_alternate(const char *numbers) {
    return strstr(numbers, "1049") || strstr(numbers, "1047") || streq(numbers, "47");
}

// A whole sequence, from ESC to its last character.
static void screen_sequence(struct screen *screen, char *sequence, size_t size) {
    char last = sequence[size - 1];
    sequence[size - 1] = 0;
    if (size < 4 || sequence[1] != '[' || sequence[2] != '?' || (last != 'h' && last != 'l'))
        return;
    screen->changed = true;
    if (is_alternate(sequence + 3))
        screen->alternate = last == 'h';
}

void screen_saw(struct screen *screen, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = bytes[i];
        if (c == ESC)
            screen->partial_size = 0;
        else if (screen->partial_size == 0)
            continue;
        screen->partial[screen->partial_size++] = c;
        bool ends = (screen->partial_size == 2 && c != '[') || (screen->partial_size > 2 && c >= '@' && c <= '~');
        if (ends)
            screen_sequence(screen, screen->partial, screen->partial_size);
        if (ends || screen->partial_size == SCREEN_SEQUENCE_MAX)
            screen->partial_size = 0;
    }
}

const char *screen_leave(const struct screen *screen) {
    // Mouse reports, bracketed paste, application keys and a hidden cursor off; colours plain.
#define PLAIN "\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?2004l\033[?1l\033>\033[?25h\033[0m"
    if (screen->alternate)
        return PLAIN "\033[?1049l";
    return screen->changed ? PLAIN : "";
#undef PLAIN
}
