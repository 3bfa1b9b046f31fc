// Cutting bytes into lines.
#include "client/lines.h"

#include <stdio.h>
#include <utlist.h>

#include "common/units.h"
#include "common/util.h"

struct line {
    struct line *prev, *next;
    int stream;
    size_t size;
    char bytes[];
};

static void lines_drop_first(struct lines *lines) {
    struct line *first = lines->kept;
    DL_DELETE(lines->kept, first);
    lines->kept_count--;
    free(first);
}

static void lines_keep(struct lines *lines, int stream, const char *bytes, size_t size) {
    struct line *line = malloc(sizeof(*line) + size);
    if (!line)
        return;
    line->stream = stream;
    line->size = size;
    memcpy(line->bytes, bytes, size);
    DL_APPEND(lines->kept, line);
    if (++lines->kept_count > lines->keep)
        lines_drop_first(lines);
}

static void lines_end_line(struct lines *lines, int stream) {
    struct buffer line = lines->partial[stream];
    lines->partial[stream] = (struct buffer){0};
    if (lines->keep < 0)
        lines->emit(lines->data, stream, buffer_head(&line), buffer_size(&line));
    else
        lines_keep(lines, stream, buffer_head(&line), buffer_size(&line));
    buffer_done(&line);
}

static void lines_begin_line(struct lines *lines, int stream, double at) {
    char text[32], prefix[48];
    if (!lines->timestamps || buffer_size(&lines->partial[stream]) > 0)
        return;
    int n = at > 0 ? snprintf(prefix, sizeof(prefix), "%s.%03d ", units_instant(at, text),
                              (int)((at - (double)(long)at) * 1e3))
                   : snprintf(prefix, sizeof(prefix), "%-23s ", "-");
    buffer_append(&lines->partial[stream], prefix, (size_t)n);
}

void lines_take(struct lines *lines, int stream, double at, const char *bytes, size_t size) {
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t piece = newline ? (size_t)(newline - bytes) + 1 : size;
        lines_begin_line(lines, stream, at);
        buffer_append(&lines->partial[stream], bytes, piece);
        if (newline)
            lines_end_line(lines, stream);
        bytes += piece;
        size -= piece;
    }
}

void lines_release(struct lines *lines, bool is_end) {
    for (int stream = 0; is_end && stream < 2; stream++)
        if (buffer_size(&lines->partial[stream]) > 0)
            lines_end_line(lines, stream);
    lines->keep = -1;
    while (lines->kept) {
        lines->emit(lines->data, lines->kept->stream, lines->kept->bytes, lines->kept->size);
        lines_drop_first(lines);
    }
}

void lines_done(struct lines *lines) {
    while (lines->kept)
        lines_drop_first(lines);
    buffer_done(&lines->partial[0]);
    buffer_done(&lines->partial[1]);
}
