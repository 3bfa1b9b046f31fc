// Cutting bytes into lines.
#include "client/lines.h"

#include <stdio.h>
#include <utlist.h>

#include "common/units.h"
#include "common/util.h"

struct line {
    struct line *prev, *next;
    int stream;
    bool is_gap;
    int64_t start, end; // of a gap
    size_t size;
    char bytes[];
};

static void lines_drop(struct lines *lines, struct line *line) {
    DL_DELETE(lines->kept, line);
    lines->kept_count -= !line->is_gap;
    free(line);
}

// The first line, and the gaps of its stream before it.
static void lines_drop_first(struct lines *lines) {
    struct line *first = lines->kept, *gap, *next;
    while (first->is_gap)
        first = first->next;
    DL_FOREACH_SAFE(lines->kept, gap, next) {
        if (gap == first)
            break;
        if (gap->stream == first->stream)
            lines_drop(lines, gap);
    }
    lines_drop(lines, first);
}

static struct line *lines_add(struct lines *lines, int stream, size_t size) {
    struct line *line = malloc(sizeof(*line) + size);
    if (!line)
        return NULL;
    *line = (struct line){.stream = stream, .size = size};
    DL_APPEND(lines->kept, line);
    return line;
}

static void lines_keep(struct lines *lines, int stream, const char *bytes, size_t size) {
    struct line *line = lines_add(lines, stream, size);
    if (!line)
        return;
    memcpy(line->bytes, bytes, size);
    if (++lines->kept_count > lines->keep)
        lines_drop_first(lines);
}

void lines_gap(struct lines *lines, int stream, int64_t start, int64_t end) {
    struct line *gap = lines->keep < 0 ? NULL : lines_add(lines, stream, 0);
    if (!gap) {
        lines->gap(lines->data, stream, start, end);
        return;
    }
    gap->is_gap = true;
    gap->start = start;
    gap->end = end;
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

static void lines_end_unended(struct lines *lines) {
    for (int stream = 0; stream < 2; stream++)
        if (buffer_size(&lines->partial[stream]) > 0)
            lines_end_line(lines, stream);
}

void lines_release(struct lines *lines, bool is_end) {
    if (is_end)
        lines_end_unended(lines);
    lines->keep = -1;
    while (lines->kept) {
        const struct line *line = lines->kept;
        if (line->is_gap)
            lines->gap(lines->data, line->stream, line->start, line->end);
        else
            lines->emit(lines->data, line->stream, line->bytes, line->size);
        lines_drop(lines, lines->kept);
    }
    if (!lines->timestamps) // else it is ended by what comes, so that it has one time
        lines_end_unended(lines);
}

void lines_done(struct lines *lines) {
    while (lines->kept)
        lines_drop(lines, lines->kept);
    buffer_done(&lines->partial[0]);
    buffer_done(&lines->partial[1]);
}
