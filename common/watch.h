// watch: descriptors that the kernel has no room to watch (epoll_ctl(2) has ENOMEM, ENOSPC). libev then stops their watchers
// and calls them with EV_ERROR, once it comes round to it.
#pragma once

#include <ev.h>
#include <stdbool.h>

// At the start of a callback: whether it is called for that alone. Then it is watched anew, as nobody else tells what would
// have been told here.
static inline bool watch_failed(struct ev_loop *loop, struct ev_io *io, int events) {
    if (!(events & EV_ERROR))
        return false;
    ev_io_set(io, io->fd, io->events & (EV_READ | EV_WRITE)); // else it takes what it was told before for what is so
    ev_io_start(loop, io);
    return true;
}

// libev finds it out when it has made up its mind for how long to sleep: this one does not let it sleep over it. Nor does it
// let libev end the program where a descriptor is not to be had for a moment. `nudge` lives as long as the loop.
void watch_init(struct ev_loop *loop, struct ev_async *nudge);
