// notify: tells whoever started the daemon of its state, as sd_notify(3) documents the protocol.
#pragma once

// Sends the assignments ("READY=1") to $NOTIFY_SOCKET; where that is not set or nobody listens, nothing happens.
void notify_send(const char *state);
