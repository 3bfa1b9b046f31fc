// A text that may come in pieces: the end of one piece is carried over to the next.
#include "daemon/control/matcher.h"

#include "common/util.h"
#include "daemon/runner/runner.h"

struct matcher {
    unsigned mask;
    size_t size;
    struct {
        int64_t next;    // offset that continues the carried bytes
        size_t carried;  // at most size - 1
        char *carry;     // owned, 2 * size: the carried bytes and the start of the next piece
        int64_t at, end; // of what is scanned
    } streams[STREAM_COUNT];
    bool scans;
    char text[];
};

void matcher_free(struct matcher *matcher) {
    for (int s = 0; matcher && s < STREAM_COUNT; s++)
        free(matcher->streams[s].carry);
    free(matcher);
}

struct matcher *matcher_new(unsigned mask, const char *text, size_t size) {
    struct matcher *m = calloc(1, sizeof(*m) + size);
    if (!m)
        return NULL;
    m->mask = mask;
    m->size = size;
    memcpy(m->text, text, size);
    for (int s = 0; s < STREAM_COUNT; s++) {
        m->streams[s].carry = malloc(2 * size);
        if (!m->streams[s].carry) {
            matcher_free(m);
            return NULL;
        }
    }
    return m;
}

const char *matcher_text(const struct matcher *m, unsigned *ret_mask, size_t *ret_size) {
    *ret_mask = m->mask;
    *ret_size = m->size;
    return m->text;
}

bool matcher_feed(struct matcher *m, int stream, int64_t offset, const char *bytes, size_t size) {
    if (!(m->mask & (1u << stream)))
        return false;
    size_t carried = m->streams[stream].next == offset ? m->streams[stream].carried : 0;
    char *carry = m->streams[stream].carry;
    m->streams[stream].next = offset + (int64_t)size;
    size_t seam = MIN(size, m->size);
    memcpy(carry + carried, bytes, seam);
    if (memmem(carry, carried + seam, m->text, m->size) || memmem(bytes, size, m->text, m->size))
        return true;
    if (size >= m->size) {
        m->streams[stream].carried = m->size - 1;
        memcpy(carry, bytes + size - (m->size - 1), m->size - 1);
        return false;
    }
    size_t have = carried + size, keep = MIN(have, m->size - 1);
    memmove(carry, carry + have - keep, keep);
    m->streams[stream].carried = keep;
    return false;
}

// The next piece of what is stored. Returns how many bytes were fed.
static size_t scan_piece(struct matcher *m, struct spool *spool, int stream, size_t most, bool *ret_found) {
    int64_t *at = &m->streams[stream].at;
    const char *bytes;
    char piece[SPOOL_PIECE];
    size_t n = MIN(spool_peek(spool, *at, piece, &bytes), most);
    *ret_found = n > 0 && matcher_feed(m, stream, *at, bytes, n);
    *at = n > 0 ? *at + (int64_t)n : spool->is_refused ? m->streams[stream].end : spool_skip_gap(spool, *at);
    return n;
}

bool matcher_scan(struct matcher *m, const struct job *job, size_t most, bool *ret_more) {
    bool found = false;
    *ret_more = false;
    for (int s = 0; s < STREAM_COUNT && !m->scans; s++)
        m->streams[s].end = m->mask & (1u << s) ? runner_spool(job, s)->total : 0;
    m->scans = true;
    for (int s = 0; s < STREAM_COUNT && !found; s++)
        while (m->streams[s].at < m->streams[s].end && !found) {
            *ret_more = most == 0;
            if (most == 0)
                return false;
            most -= scan_piece(m, runner_spool(job, s), s, most, &found);
        }
    return found;
}

void matcher_join(struct matcher *m, const struct job *job) {
    for (int s = 0; s < STREAM_COUNT; s++) {
        struct spool *spool = runner_spool(job, s);
        bool found;
        m->streams[s].end = m->mask & (1u << s) ? spool->total : 0;
        m->streams[s].at = MAX(m->streams[s].end - (int64_t)(m->size - 1), (int64_t)0);
        while (m->streams[s].at < m->streams[s].end)
            scan_piece(m, spool, s, m->size, &found);
    }
}
