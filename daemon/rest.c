// Giving memory back, and reaping.
#include "daemon/rest.h"

#include <malloc.h>
#include <sys/wait.h>

#include "common/heap.h"
#include "daemon/parts.h"
#include "daemon/store/history.h"

enum {
    FLOOD = 16,     // jobs: fewer leave nothing to speak of
    SIBLINGS = 256, // that are reaped at once
};
#define REST_AFTER 2.0 // seconds

// Jobs.
static int64_t ended(const struct worker *w) {
    const struct runner_stats *stats = runner_stats(w->runner);
    return stats->accepted - stats->live;
}

static void rest_arm(struct worker *w) {
    ev_timer_set(&w->rest.timer, REST_AFTER, 0);
    ev_timer_start(w->loop, &w->rest.timer);
}

static bool is_written(const struct worker *w) {
    return !w->history || history_is_safe(w->history) || history_trouble(w->history);
}

// In the middle of a flood it is done now and then; the last time once nothing has come for a while, as what then was under
// way holds pages that are free now.
static void memory_return(struct worker *w, int64_t now, bool is_over) {
    bool is_flood = now - w->rest.returned >= FLOOD;
    if (!is_flood && !(is_over && w->rest.was_flood))
        return;
    w->rest.was_flood = !is_over;
    w->rest.returned = now;
    kept_trim(w->kept);
    if (!is_over) {
        malloc_trim(0);
        return;
    }
    launcher_rest(w->launcher);
    runner_rest(w->runner);
    history_rest(w->history);
    heap_rest();
}

// Whether it is the leader of a job, or may be one that has just been made.
static bool may_be_leader(const struct worker *w, pid_t pid) {
    for (const struct job *job = registry_newest(w->registry); job; job = job->older)
        if (!job_is_final(job) && (job->pid == pid || job->pid <= 0))
            return true;
    return false;
}

// A leader can make children that are ours (clone(2), CLONE_PARENT). Of those that have ended nobody else takes notice. The
// reaper way has none: a leader's parent is its reaper. Returns false where a leader's own end comes first, or more are left.
static bool siblings_reap(const struct worker *w) {
    siginfo_t info = {0};
    if (tree_host_way(w->trees) == TREE_REAPER)
        return true;
    for (int n = 0; waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0; n++) {
        // One that has made us its tracer (ptrace(2), PTRACE_TRACEME) would be told again and again, ahead of all behind it,
        // until its stop is read. Only the thread that made it could let it go: it stands until it is killed.
        bool is_stop = info.si_code == CLD_TRAPPED;
        if (n == SIBLINGS || (!is_stop && may_be_leader(w, info.si_pid)))
            return false;
        waitid(P_PID, (id_t)info.si_pid, &info, (is_stop ? WSTOPPED : WEXITED) | WNOHANG);
        info.si_pid = 0;
    }
    return true;
}

static void on_rest(struct ev_loop *loop, struct ev_timer *timer, int events) {
    struct worker *w = timer->data;
    int64_t now = ended(w);
    bool is_over = now == w->rest.ended && is_written(w);
    w->rest.ended = now;
    memory_return(w, now, is_over);
    bool is_more = spool_host_look(w->spools, NULL) && spool_host_lingers(w->spools);
    if (!siblings_reap(w) || !is_over || is_more)
        rest_arm(w);
}

void rest_init(struct worker *w) {
    ev_init(&w->rest.timer, on_rest);
    w->rest.timer.data = w;
}

void rest_later(struct worker *w) {
    bool is_due = ended(w) - w->rest.ended >= FLOOD || spool_host_lingers(w->spools);
    if (!ev_is_active(&w->rest.timer) && is_due)
        rest_arm(w);
}
