// What goes when.
#include "daemon/store/retention.h"

#include "common/util.h"

enum { RETENTION_BATCH = 500, RETENTION_OWNERS = 16 }; // jobs of one, and who have too much, in one transaction

// How much there is, and how much there may be.
struct excess {
    int64_t count, bytes, count_max, bytes_max;
};

static bool too_much(const struct excess *e) {
    return e->count > e->count_max || e->bytes > e->bytes_max;
}

// Drops what the statement (id, owner, bytes, expires) tells, as long as it is over or there is too much.
static int drop_rows(struct history_writer *w, sqlite3_stmt *rows, struct excess excess, struct history_change **first,
                     struct history_change **last) {
    struct history_change *before = *last;
    double now = now_wall();
    int r;
    while ((r = sqlite3_step(rows)) == SQLITE_ROW) {
        struct history_change *change = NULL;
        if (too_much(&excess) || sqlite3_column_double(rows, 3) <= now)
            change = calloc(1, sizeof(*change));
        if (!change)
            break;
        change->id = sqlite3_column_int64(rows, 0);
        change->owner = (uid_t)sqlite3_column_int64(rows, 1);
        change->dropped = true;
        history_change_append(first, last, change);
        excess.count--;
        excess.bytes -= sqlite3_column_int64(rows, 2);
    }
    r = r == SQLITE_ROW || r == SQLITE_DONE ? SQLITE_OK : r;
    for (struct history_change *c = before ? before->next : *first; c && r == SQLITE_OK; c = c->next)
        r = history_writer_drop(w, c->id);
    return r;
}

static int drop_of(struct history_writer *w, const struct holder *holder, const struct excess *excess,
                   struct history_change **first, struct history_change **last) {
    const char *sql = holder
                          ? "SELECT id, owner, bytes, expires FROM job WHERE final AND owner = ? ORDER BY ended LIMIT ?"
                          : "SELECT id, owner, bytes, expires FROM job WHERE final ORDER BY expires LIMIT ?";
    sqlite3_stmt *rows = NULL;
    int r = sqlite3_prepare_v2(w->file.db, sql, -1, &rows, NULL);
    int at = 0;
    if (r == SQLITE_OK && holder)
        sqlite3_bind_int64(rows, ++at, holder->uid);
    if (r == SQLITE_OK)
        sqlite3_bind_int(rows, ++at, RETENTION_BATCH);
    if (r == SQLITE_OK)
        r = drop_rows(w, rows, *excess, first, last);
    sqlite3_finalize(rows);
    return r;
}

int retention(struct history_writer *w, struct history_change **first, struct history_change **last) {
    const struct history_limits *l = &w->limits;
    const struct holders *holders = &w->file.holders;
    const struct owners *left = w->left.owners;
    int64_t owner_bytes = MIN(l->owner_bytes, l->bytes);
    const struct holder *over;
    history_left_look(&w->left, w->output);
    int r = drop_of(w, NULL, &(struct excess){0}, first, last); // whose time is over
    for (int n = 0; n < RETENTION_OWNERS && r == SQLITE_OK &&
                    (over = holders_over(holders, left, l->exempt, l->owner_jobs, owner_bytes));
         n++) {
        const struct excess own = {over->count, holder_bytes(over, left), l->owner_jobs, owner_bytes};
        r = drop_of(w, over, &own, first, last);
    }
    const struct excess all = {w->file.count, w->file.bytes, l->jobs, l->bytes};
    if (r == SQLITE_OK && too_much(&all))
        r = drop_of(w, holders_largest(holders, all.count <= all.count_max), &all, first, last);
    return r;
}
