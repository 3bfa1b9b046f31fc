// Chunks of output.
#include "daemon/control/chunks.h"

#include <math.h>

#include "common/bytes.h"
#include "common/util.h"
#include "daemon/control/record.h"
#include "daemon/runner/runner.h"

enum {
    CHUNKS_MAX = 512, // in one answer: many tiny switches must not make it huge
    CHARACTER_MAX = 4,
};

static const char *const names[] = {"stdout", "stderr"};

static bool shown(const struct cursor *cursor, int stream) {
    return cursor->mask & (1u << stream);
}

int64_t cursor_offset(const struct job *job, int stream, int64_t offset) {
    int64_t total = runner_spool(job, stream)->total;
    return offset < 0 ? MAX(total + offset, 0) : offset;
}

static int64_t total_of(const struct job *job, const struct cursor *cursor, int stream) {
    return shown(cursor, stream) ? runner_spool(job, stream)->total : 0;
}

bool chunks_waiting(const struct job *job, const struct cursor *cursor) {
    for (int s = 0; s < STREAM_COUNT; s++)
        if (shown(cursor, s) && cursor->next[s] < runner_spool(job, s)->total)
            return true;
    return false;
}

bool chunks_eof(const struct job *job, const struct cursor *cursor) {
    for (int s = 0; s < STREAM_COUNT; s++)
        if (shown(cursor, s) && (!runner_stream_eof(job, s) || cursor->next[s] < runner_spool(job, s)->total))
            return false;
    return true;
}

static json_t *gap_record(int stream, int64_t start, int64_t end) {
    return json_pack("{s:s,s:I,s:I}", "stream", names[stream], "start", (json_int_t)start, "end", (json_int_t)end);
}

static json_t *chunk_record(int stream, int64_t offset, const char *data, size_t size, bool base64, double at) {
    json_t *record = json_object();
    record_set(&record, "stream", json_string_nocheck(names[stream]));
    record_set(&record, "offset", json_integer(offset));
    int r = record ? bytes_to_json(record, data, size, base64) : -ENOMEM;
    record_set(&record, "at", at > 0 ? json_real(round(at * 1e6) / 1e6) : json_null());
    if (r == 0)
        return record;
    json_decref(record);
    return NULL;
}

// A piece that is read elsewhere, up to `end`. Returns its size; 0: memory is out.
static size_t piece_point(json_t **chunks, int64_t offset, int stream, int64_t end, double at) {
    json_t *time = at > 0 ? json_real(round(at * 1e6) / 1e6) : json_null();
    json_t *record = json_pack("{s:s,s:I,s:I,s:o}", "stream", names[stream], "offset", (json_int_t)offset, "end",
                               (json_int_t)end, "at", time);
    record_add(chunks, record);
    return *chunks ? (size_t)(end - offset) : 0;
}

// One piece at the cursor, at most `limit` bytes and not beyond `end`. Returns its size; 0: it is to wait.
static size_t piece_add(json_t **chunks, struct spool *spool, const struct cursor *cursor, int stream, int64_t end,
                        size_t limit, bool more, double at) {
    int64_t offset = cursor->next[stream];
    size_t size = MIN(limit, (size_t)(end - offset));
    // The budget's last bytes are less than a character may need: it comes whole with the next answer.
    if (limit < CHARACTER_MAX && spool->total - offset > (int64_t)limit && json_array_size(*chunks) > 0)
        return 0;
    _cleanup_free_ char *data = malloc(size + CHARACTER_MAX);
    if (!data)
        record_add(chunks, NULL);
    if (!data)
        return 0;
    size_t have = spool_read(spool, offset, data, MIN(limit, size + CHARACTER_MAX));
    size = MIN(size, have);
    size_t whole = bytes_cut(data, size);
    // No more than the start of a character, whose rest was read later: it goes along.
    for (size_t n = size + 1; whole == 0 && n <= have; n++)
        if (bytes_cut(data, n) == n)
            whole = size = n;
    // Cut in the middle only where the character's rest does not follow: at the end of a stream that is closed.
    bool last = offset + (int64_t)size >= spool->total && !more;
    if (!last && (whole > 0 || offset + (int64_t)size >= spool->total))
        size = whole;
    if (size == 0 || size > limit)
        return 0;
    record_add(chunks, chunk_record(stream, offset, data, size, cursor->base64, at));
    return *chunks ? size : 0;
}

// Goes over a gap at the cursor, telling it. Returns whether there was one.
static bool gap_skip(json_t **gaps, const struct spool *spool, struct cursor *cursor, int stream) {
    int64_t from = cursor->next[stream], to = spool_skip_gap(spool, from);
    if (to <= from || from >= spool->total)
        return false;
    record_add(gaps, gap_record(stream, from, to));
    cursor->next[stream] = to;
    return true;
}

json_t *chunks_build(const struct job *job, struct cursor *cursor, size_t limit) {
    json_t *chunks = json_array(), *gaps = json_array();
    int64_t total[STREAM_COUNT] = {total_of(job, cursor, STREAM_OUT), total_of(job, cursor, STREAM_ERR)};
    int stream;
    int64_t end;
    double at;
    while (limit > 0 && chunks && json_array_size(chunks) < CHUNKS_MAX &&
           order_next(runner_order(job), cursor->next, total, &cursor->hint, &stream, &end, &at)) {
        struct spool *spool = runner_spool(job, stream);
        if (gap_skip(&gaps, spool, cursor, stream))
            continue;
        bool more = !runner_stream_eof(job, stream);
        end = MIN(end, total[stream]);
        if (cursor->bare)
            end = MIN(end, spool_gap_after(spool, cursor->next[stream]));
        size_t n = cursor->bare ? piece_point(&chunks, cursor->next[stream], stream, end, at)
                                : piece_add(&chunks, spool, cursor, stream, end, limit, more, at);
        if (n == 0 && spool->is_unreadable)
            continue; // over what is a gap now
        if (n == 0 && spool->is_refused)
            record_add(&chunks, NULL); // an error, no gap
        if (n == 0)
            break;
        cursor->next[stream] += (int64_t)n;
        limit -= MIN(n, limit);
    }
    json_t *next = json_object();
    for (int s = 0; s < STREAM_COUNT; s++)
        record_set(&next, names[s], shown(cursor, s) ? json_integer(cursor->next[s]) : json_null());
    return json_pack("{s:o,s:o,s:o,s:b}", "chunks", chunks, "next", next, "gaps", gaps, "eof", chunks_eof(job, cursor));
}
