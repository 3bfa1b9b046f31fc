"""What is to hold at any length: bytes are exact both ways, and whoever comes and goes leaves nothing behind. The tests do
it in small, ./dev soak in full."""

import base64
import hashlib
import os
import subprocess
import threading

import procs
from client import Client, data_of
from harness import is_sanitized

PIECE = 1 << 20


def through_supctl(daemon, size):
    """Random bytes through supctl run -- cat, piped in and out: none is lost or changed."""
    given, taken = hashlib.sha256(), hashlib.sha256()
    with subprocess.Popen(daemon.supctl_words("run", "--", "cat"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        def feed():
            for at in range(0, size, PIECE):
                piece = os.urandom(min(PIECE, size - at))
                given.update(piece)
                process.stdin.write(piece)
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        while piece := process.stdout.read1(PIECE):
            taken.update(piece)
        feeder.join()
        assert process.wait() == 0, process.returncode
    assert taken.digest() == given.digest(), f"{size} bytes through supctl run -- cat are others"


def through_the_protocol(daemon, size):
    """The same by job.input and job.output."""
    given, taken = hashlib.sha256(), hashlib.sha256()
    with Client(daemon.socket) as holder, Client(daemon.socket) as giver:
        job = holder.call("job.start", argv=["cat"], stdin="stream", lease=True)["job"]

        def feed():
            for at in range(0, size, PIECE):
                piece = os.urandom(min(PIECE, size - at))
                given.update(piece)
                answer = giver.call("job.input", id=job["id"], data=base64.b64encode(piece).decode(), encoding="base64")
                assert answer["accepted_bytes"] == len(piece)
            giver.call("job.input", id=job["id"], eof=True)

        feeder = threading.Thread(target=feed)
        feeder.start()
        offset = 0
        answer = holder.call("job.output", id=job["id"], stream="stdout", follow=True, hold=True)
        while True:
            for chunk in answer["chunks"]:
                assert chunk["offset"] == offset, (chunk["offset"], offset)
                data = data_of(chunk)
                taken.update(data)
                offset += len(data)
            assert not answer["gaps"], answer["gaps"]
            if answer["eof"]:
                break
            answer = holder.notification("job.output")
        feeder.join()
    assert offset == size and taken.digest() == given.digest(), f"{size} bytes through job.input are others"


def subscribe_round(daemon, count):
    with Client(daemon.socket) as client:
        for _ in range(count):
            subscription = client.call("event.subscribe", since=0)["subscription"]
            client.call("event.unsubscribe", subscription=subscription)


def leave_round(daemon, count):
    """Connects, and goes in the middle of a message."""
    message = b'{"jsonrpc":"2.0","id":1,"method":"job.run","params":{"argv":["sleep","1000"]}}'
    for i in range(count):
        client = Client(daemon.socket)
        client.send_raw(message[:1 + i % len(message) // 2])
        client.close()


def leaves_nothing(daemon, churn, count):
    """After as much again the daemon has no descriptor and, but for what the allocator does, no byte more."""
    def settled():
        with Client(daemon.socket) as client:
            procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] == 1, "all have gone")
            stats = client.call("daemon.stats")
            return len(procs.descriptors(daemon.worker)), stats["memory"]["private_bytes"]

    churn(daemon, count)
    fds, memory = settled()
    churn(daemon, count)
    fds_now, memory_now = settled()
    assert fds_now == fds, f"{fds_now} descriptors, {fds} before"
    if not is_sanitized():  # whose allocator keeps what is freed
        assert memory_now <= memory + (1 << 18), f"{memory_now} bytes, {memory} before"
