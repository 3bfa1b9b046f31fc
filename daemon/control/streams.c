// Opening stored streams.
#include "daemon/control/streams.h"

#include <fcntl.h>

#include "common/util.h"
#include "daemon/control/record.h"

typedef int (*stream_opener)(const struct job *job, int stream, json_t *notes);

static void streams_close(struct session *session, const int *fds, int count) {
    session_account(session, -count);
    while (count > 0)
        close(fds[--count]);
}

// Opens all of the mask by `open_one`, or none.
static int streams_open(struct session *session, const struct job *job, unsigned mask, stream_opener open_one,
                        int fds[STREAM_COUNT], json_t *notes) {
    int count = 0;
    int wanted = __builtin_popcount(mask);
    int r = session_account(session, wanted);
    if (r < 0)
        return r;
    for (int s = 0; s < STREAM_COUNT && r >= 0; s++) {
        if (!(mask & (1u << s)))
            continue;
        r = open_one(job, s, notes);
        if (r >= 0)
            fds[count++] = r;
    }
    if (r >= 0)
        return count;
    session_account(session, count - wanted);
    streams_close(session, fds, count);
    return r;
}

static int open_nothing(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int layout_set(json_t *layout, int64_t head, int64_t ring) {
    bool is_set = json_object_set_new(layout, "head_bytes", json_integer(head)) == 0 &&
                  json_object_set_new(layout, "ring_bytes", json_integer(ring)) == 0;
    return is_set ? 0 : -ENOMEM;
}

static int open_live(const struct job *job, int stream, json_t *layout) {
    const struct spool *spool = runner_spool(job, stream);
    if (!spec_captures(&job->spec, stream))
        return open_nothing();
    // Both have the same one, unless a lack of space has cut one short before it was shared.
    const json_t *head = json_object_get(layout, "head_bytes"), *ring = json_object_get(layout, "ring_bytes");
    if (head && (json_integer_value(head) != spool->head_bytes || json_integer_value(ring) != spool->ring_bytes))
        return -EOPNOTSUPP;
    int r = layout_set(layout, spool->head_bytes, spool->ring_bytes);
    return r < 0 ? r : spool_open(spool);
}

int streams_open_live(struct session *session, struct job *job, unsigned mask, int fds[STREAM_COUNT],
                      json_t **ret_layout) {
    json_t *layout = json_object();
    int r = layout ? runner_share(job) : -ENOMEM;
    if (r == 0)
        r = streams_open(session, job, mask, open_live, fds, layout);
    if (r >= 0 && !json_object_get(layout, "head_bytes")) { // nothing is captured
        int none = layout_set(layout, 0, 0);
        if (none < 0)
            streams_close(session, fds, r);
        r = none < 0 ? none : r;
    }
    if (r >= 0)
        *ret_layout = layout;
    else
        json_decref(layout);
    return r;
}

static int open_final(const struct job *job, int stream, json_t *extents) {
    static const char *const names[] = {"stdout", "stderr"};
    int64_t ranges[2][2];
    int count = 0;
    int fd = runner_export(job, stream, ranges, &count);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        record_add(&list, json_pack("[I,I]", (json_int_t)ranges[i][0], (json_int_t)ranges[i][1]));
    if (json_object_set_new(extents, names[stream], list) == 0)
        return fd;
    fd_close(fd);
    return fd < 0 ? fd : -ENOMEM;
}

int streams_open_final(struct session *session, const struct job *job, unsigned mask, int fds[STREAM_COUNT],
                       json_t **ret_extents) {
    json_t *extents = json_object();
    int r = streams_open(session, job, mask, open_final, fds, extents);
    if (r == 1) // of one stream its ranges alone
        *ret_extents = json_incref(json_object_iter_value(json_object_iter(extents)));
    else if (r > 1)
        *ret_extents = json_incref(extents);
    json_decref(extents);
    return r;
}
