// Writing out what jobs print.
#include "client/output.h"

#include <stdio.h>

#include "client/print.h"
#include "common/bytes.h"
#include "common/util.h"

static void output_pump(struct output *output);

static void on_sink(struct sink *sink) {
    struct output *output = sink->data;
    if (sink->error)
        output->last_error = sink->error;
    if (output->busy == sink) {
        output->busy = NULL;
        output_pump(output);
    }
    if (output->moved && (output->last_error || output_is_empty(output)))
        output->moved(output);
}

void output_init(struct output *output, struct call *call, void *data) {
    *output = (struct output){.call = call, .waiting = json_array(), .data = data};
    sink_init(&output->sinks[0], call_loop(call), STDOUT_FILENO, on_sink, output);
    sink_init(&output->sinks[1], call_loop(call), STDERR_FILENO, on_sink, output);
}

void output_done(struct output *output) {
    sink_done(&output->sinks[0]);
    sink_done(&output->sinks[1]);
    stored_close(&output->stored);
    json_decref(output->waiting);
    json_decref(output->taken);
}

void output_write(struct output *output, int stream, const char *bytes, size_t size) {
    struct sink *sink = &output->sinks[stream];
    sink_write(sink, bytes, size);
    if (!sink_is_empty(sink))
        output->busy = sink;
}

static int output_stream(const json_t *piece) {
    const char *name = json_string_value(json_object_get(piece, "stream"));
    return name && streq(name, "stderr");
}

void output_gap(int stream, int64_t start, int64_t end) {
    if (start < end)
        print_error("%s: %lld bytes are not kept (from %lld to %lld)", stream ? "stderr" : "stdout",
                    (long long)(end - start), (long long)start, (long long)end);
}

static void output_bytes(struct output *output, const json_t *piece, const char *bytes, size_t size) {
    if (output->filter)
        output->filter(output, output_stream(piece), json_number_value(json_object_get(piece, "at")), bytes, size);
    else
        output_write(output, output_stream(piece), bytes, size);
}

static void output_stored(struct output *output, const json_t *piece) {
    int64_t offset = json_integer_value(json_object_get(piece, "offset"));
    int64_t end = json_integer_value(json_object_get(piece, "end"));
    const char *bytes;
    size_t size;
    for (; (size = stored_read(&output->stored, output_stream(piece), offset, end, &bytes)) > 0;
         offset += (int64_t)size)
        output_bytes(output, piece, bytes, size);
}

static void output_piece(struct output *output, const json_t *piece) {
    const json_t *data = json_object_get(piece, "data");
    if (!data && json_object_get(piece, "offset")) {
        output_stored(output, piece);
        return;
    }
    if (!data) {
        int64_t start = json_integer_value(json_object_get(piece, "start")),
                end = json_integer_value(json_object_get(piece, "end"));
        if (output->gap)
            output->gap(output, output_stream(piece), start, end);
        else
            output_gap(output_stream(piece), start, end);
        return;
    }
    const char *encoding = json_string_value(json_object_get(piece, "encoding"));
    bool is_coded = encoding && streq(encoding, "base64");
    size_t size = json_string_length(data);
    _cleanup_free_ char *decoded = is_coded ? bytes_from_json(piece, &size) : NULL;
    const char *bytes = is_coded ? decoded : json_string_value(data);
    if (bytes)
        output_bytes(output, piece, bytes, size);
}

// What is written out may be overwritten by what comes.
static void output_acknowledge(struct output *output) {
    json_t *taken = TAKE_PTR(output->taken);
    if (taken)
        call_notify(output->call, "job.output", json_pack("{s:I,s:o}", "id", (json_int_t)output->job, "offset", taken));
}

static void output_pump(struct output *output) {
    while (!output->busy && output->next < json_array_size(output->waiting))
        output_piece(output, json_array_get(output->waiting, output->next++));
    if (output->next > 0 && output->next == json_array_size(output->waiting)) {
        json_array_clear(output->waiting);
        output->next = 0;
    }
    if (output_is_empty(output))
        output_acknowledge(output);
    call_read(output->call, output_is_empty(output));
}

// Gaps stand before the chunk of their stream that goes on after them.
static void output_queue(struct output *output, const json_t *gaps, const json_t *chunk) {
    size_t i;
    json_t *gap;
    json_array_foreach(gaps, i, gap) {
        bool here = !chunk || (output_stream(gap) == output_stream(chunk) &&
                               json_integer_value(json_object_get(gap, "end")) ==
                                   json_integer_value(json_object_get(chunk, "offset")));
        if (here && !json_object_get(gap, "told")) {
            json_object_set_new(gap, "told", json_true());
            json_array_append(output->waiting, gap);
        }
    }
    if (chunk)
        json_array_append(output->waiting, (json_t *)(uintptr_t)chunk);
}

void output_rewind(struct output *output, json_t *next) {
    static const char *const names[] = {"stdout", "stderr"};
    if (!stored_is_open(&output->stored))
        return;
    for (size_t i = json_array_size(output->waiting); i > output->next; i--) {
        const json_t *piece = json_array_get(output->waiting, i - 1), *offset = json_object_get(piece, "offset");
        json_object_set(next, names[output_stream(piece)],
                        offset ? (json_t *)(uintptr_t)offset : json_object_get(piece, "start"));
    }
    json_array_clear(output->waiting);
    output->next = 0;
    json_decref(TAKE_PTR(output->taken));
    stored_close(&output->stored);
}

void output_take(struct output *output, const json_t *answer) {
    const json_t *gaps = json_object_get(answer, "gaps");
    size_t i;
    json_t *chunk;
    json_array_foreach(json_object_get(answer, "chunks"), i, chunk) {
        output_queue(output, gaps, chunk);
    }
    output_queue(output, gaps, NULL);
    if (stored_is_open(&output->stored) && !json_is_true(json_object_get(answer, "eof"))) {
        json_decref(output->taken);
        output->taken = json_copy(json_object_get(answer, "next"));
    }
    output_pump(output);
}

bool output_is_empty(const struct output *output) {
    return !output->busy && json_array_size(output->waiting) == 0;
}

int output_drain(struct output *output) {
    while (!output_is_empty(output) && !output->last_error)
        ev_run(call_loop(output->call), EVRUN_ONCE);
    if (output->last_error)
        print_error("writing the output: %s", strerror(output->last_error));
    return output->last_error ? -1 : 0;
}

int output_extents(struct output *output, int stream, const json_t *extents, int64_t total) {
    enum { PIECE = 1 << 20 };
    int64_t place = 0, shown = 0;
    size_t i;
    json_t *extent;
    json_array_foreach(extents, i, extent) {
        int64_t start = json_integer_value(json_array_get(extent, 0)),
                end = json_integer_value(json_array_get(extent, 1));
        output_gap(stream, shown, start);
        for (int64_t to = place + end - start; place < to;) {
            const char *bytes;
            size_t size = stored_read(&output->stored, 0, place, MIN(to, place + PIECE), &bytes);
            if (size == 0)
                break;
            output_write(output, stream, bytes, size);
            place += (int64_t)size;
            if (output_drain(output) < 0)
                return -1;
        }
        shown = end;
    }
    output_gap(stream, shown, total);
    return 0;
}
