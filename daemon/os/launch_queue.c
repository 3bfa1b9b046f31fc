// Whose launch is next.
#include "daemon/os/launch_queue.h"

#include <utlist.h>

#include "common/util.h"

struct claimant *claimant_new(struct claimant *parent) {
    struct claimant *claimant = calloc(1, sizeof(*claimant));
    if (!claimant)
        return NULL;
    claimant->references = 1;
    claimant->parent = parent;
    if (parent)
        parent->references++;
    return claimant;
}

void claimant_release(struct claimant *claimant) {
    if (!claimant || --claimant->references > 0)
        return;
    claimant_release(claimant->parent);
    free(claimant);
}

void claimant_hold(struct claimant *claimant) {
    claimant->references++;
}

void launch_queue_init(struct launch_queue *queue, int launchers) {
    size_t most = (size_t)launchers;
    *queue = (struct launch_queue){.share = MAX(most - most / 4, (size_t)1), .parent_share = MAX(most / 4, (size_t)1)};
}

// Who takes turns.
static struct claimant *root_of(struct launch_queue *queue, const struct launch *launch) {
    struct claimant *claimant = launch->claimant;
    return !claimant ? &queue->nobody : claimant->parent ? claimant->parent : claimant;
}

static void count(const struct launch *launch, int queued, int under_way) {
    for (struct claimant *c = launch->claimant; c; c = c->parent) {
        c->queued += (size_t)queued;
        c->under_way += (size_t)under_way;
    }
}

static bool launch_may(const struct launch_queue *queue, const struct launch *launch) {
    const struct claimant *claimant = launch->claimant;
    if (!claimant)
        return true;
    return claimant->under_way < queue->share &&
           (!claimant->parent || claimant->parent->under_way < queue->parent_share);
}

void launch_queue_add(struct launch_queue *queue, struct launch *launch) {
    struct claimant *root = root_of(queue, launch);
    if (!root->queue)
        DL_APPEND(queue->turn, root);
    launch->next = NULL;
    LL_APPEND(root->queue, launch);
    queue->count++;
    count(launch, 1, 0);
}

void launch_queue_remove(struct launch_queue *queue, struct launch *launch) {
    struct claimant *root = root_of(queue, launch);
    LL_DELETE(root->queue, launch);
    if (!root->queue)
        DL_DELETE(queue->turn, root);
    queue->count--;
    count(launch, -1, 0);
}

static struct launch *first_of(const struct launch_queue *queue, const struct claimant *root) {
    struct launch *launch = root->queue;
    while (launch && !launch_may(queue, launch))
        launch = launch->next;
    return launch;
}

struct launch *launch_queue_begin(struct launch_queue *queue) {
    for (struct claimant *root = queue->turn; root; root = root->next) {
        struct launch *launch = first_of(queue, root);
        if (!launch)
            continue;
        launch_queue_remove(queue, launch);
        if (root->queue) { // it has had its turn
            DL_DELETE(queue->turn, root);
            DL_APPEND(queue->turn, root);
        }
        count(launch, 0, 1);
        return launch;
    }
    return NULL;
}

void launch_queue_end(struct launch *launch) {
    count(launch, 0, -1);
}

bool launch_queue_wants(const struct launch_queue *queue, size_t limit) {
    size_t ready = 0;
    for (const struct claimant *root = queue->turn; root && ready <= limit; root = root->next)
        for (const struct launch *launch = root->queue; launch && ready <= limit; launch = launch->next)
            ready += launch_may(queue, launch);
    return ready > limit;
}
