"""Descriptors whose last close waits, as whoever made them said (SO_LINGER, socket(7)): nobody else waits with it."""

import contextlib
import os
import signal
import socket
import struct
import time

import procs
from harness import ANN, BOB, SystemDaemon, acting_as, text

SETS = "any"
WAIT, MOMENT = 40, 5  # seconds: longer than others wait, and more than that is none of these


class Slow:
    """A TCP socket with bytes that its peer never reads."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname())
            self.peer, _ = listener.accept()
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.send(b"x" * 65536)
        except BlockingIOError:
            pass
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, WAIT))

    def pass_to(self, connection, data, times=1):
        """From here on nobody has it but those it was sent to: the daemon has not looked at it yet (see stopped)."""
        socket.send_fds(connection, [data], [self.socket.fileno()] * times)
        self.socket.close()


@contextlib.contextmanager
def stopped(pid):
    procs.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        procs.kill(pid, signal.SIGCONT)


def attempt(send, **more):
    """`send` is called with a connection of Ann's; Bob is served all the same, and the daemon ends as ever."""
    with SystemDaemon(**more) as daemon:
        bob = daemon.client_of(BOB)
        assert text(bob.run(["echo", "before"])) == "before\n"
        began, slow = time.monotonic(), Slow()
        with socket.socket(socket.AF_UNIX) as connection:
            with stopped(daemon.worker):
                with acting_as(ANN):
                    connection.connect(daemon.socket)
                send(connection, slow)
            with contextlib.suppress(ConnectionResetError):  # who was turned away
                connection.settimeout(WAIT)
                connection.recv(1 << 16)
        for _ in range(3):
            assert text(bob.run(["echo", "served"])) == "served\n"
        procs.eventually(lambda: bob.call("daemon.info")["name"] == "supd" and procs.in_epoll_wait(daemon.worker),
                         "the loop is at rest")
        assert time.monotonic() - began < MOMENT, time.monotonic() - began
        slow.peer.close()


INFO = b'{"jsonrpc": "2.0", "id": 1, "method": "daemon.info"}\n'


def line(**params):
    return (b'{"jsonrpc": "2.0", "id": 1, "method": "job.start", "params": {"argv": ["true"]%s}}\n'
            % "".join(f', "{name}": "{value}"' for name, value in params.items()).encode())


def test_one_that_nobody_asked_for():
    attempt(lambda connection, slow: slow.pass_to(connection, INFO))


def test_more_than_a_line_may_have():
    attempt(lambda connection, slow: slow.pass_to(connection, line(stdout="fd"), 20))


def test_one_that_a_job_had():
    attempt(lambda connection, slow: slow.pass_to(connection, line(stdout="fd")))


def test_one_within_another():
    """In a socket that is passed, unread."""
    def send(connection, slow):
        inner, outer = socket.socketpair()
        with inner, outer:
            slow.pass_to(inner, b"x")
            socket.send_fds(connection, [INFO], [outer.fileno()])
    attempt(send)


def attempt_at_hand(renew):
    """The daemon has it, and the line it came with is not over, when it is renewed: another worker is there when that comes
    back."""
    with SystemDaemon() as daemon, daemon.client_of(BOB) as bob, socket.socket(socket.AF_UNIX) as connection:
        assert text(bob.run(["echo", "before"])) == "before\n"
        began, slow = time.monotonic(), Slow()
        with acting_as(ANN):
            connection.connect(daemon.socket)
        name = os.readlink(f"/proc/self/fd/{slow.socket.fileno()}")
        slow.pass_to(connection, b"{")
        procs.eventually(lambda: name in procs.files(daemon.worker).values(), "the daemon has it")
        renew(daemon)
        with daemon.client_of(BOB) as again:
            assert text(again.run(["echo", "served"])) == "served\n"
        assert name not in procs.files(daemon.worker).values()
        assert time.monotonic() - began < MOMENT, time.monotonic() - began
        slow.peer.close()


def test_one_at_hand_as_the_worker_dies():
    attempt_at_hand(lambda daemon: daemon.kill_worker())


def test_one_at_hand_as_another_program_goes_on():
    def renew(daemon):
        before = daemon.worker
        daemon.client().call("daemon.reexec")
        procs.eventually(lambda: daemon.worker not in (None, before), "another worker is there")
    attempt_at_hand(renew)


def test_one_with_a_line_that_does_not_end():
    def send(connection, slow):
        slow.pass_to(connection, b"{")
        connection.shutdown(socket.SHUT_WR)
    attempt(send)


def test_of_one_who_may_not_connect():
    attempt(lambda connection, slow: slow.pass_to(connection, line()), access={"users": [BOB]})


def test_of_one_who_has_too_many_connections():
    def send(connection, slow):
        with acting_as(ANN), socket.socket(socket.AF_UNIX) as late:
            late.connect(connection.getpeername())
            slow.pass_to(late, line())
        connection.sendall(line())
    attempt(send, options=["--set", "owner_clients=1"])
