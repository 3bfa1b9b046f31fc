"""What ./dev soak does, in small."""

import soaking
from harness import daemon_test

SIZE = 24 << 20
COUNT = 300


@daemon_test
def test_bytes_are_exact_through_supctl(daemon, client):
    soaking.through_supctl(daemon, SIZE)


@daemon_test
def test_bytes_are_exact_through_the_protocol(daemon, client):
    soaking.through_the_protocol(daemon, SIZE)


@daemon_test
def test_subscribers_leave_nothing(daemon, client):
    client.close()
    soaking.leaves_nothing(daemon, soaking.subscribe_round, COUNT)


@daemon_test
def test_connections_cut_in_a_message_leave_nothing(daemon, client):
    client.close()
    soaking.leaves_nothing(daemon, soaking.leave_round, COUNT)
