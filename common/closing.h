// closing: the end of descriptors that come from others.
//
// The last close of a socket may wait for as long as whoever made it said (SO_LINGER, socket(7)); for a TCP socket whose peer
// reads nothing that is as long as they like, be it non-blocking or not. A signal ends that wait, and the socket goes on by
// itself: so such a close is one under a clock. For the thread that takes SIGALRM, which gets a handler that does nothing.
#pragma once

void closing_close(int fd); // of one that somebody has passed: some milliseconds at most
// Of a connection, in which others may lie that were not received: they are closed with it.
void closing_connection(int fd);
