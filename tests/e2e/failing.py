"""The N-th call of a kind fails, for every N until a job got through without one: see tests/calls.c."""

import mmap
import os
import struct

import procs
from client import Closed, RpcError, data_of
from harness import CHILD, Daemon, Skip, is_sanitized

LIBRARY = os.path.join(os.path.dirname(CHILD), "libcalls.so")
KINDS = {name: 1 << bit for bit, name in enumerate(
    ("memory", "descriptors", "sending", "receiving", "space", "watching", "processes", "writing"))}
OUTPUT = b"".join(b"%d\n" % i for i in range(1, 20001))  # more than a log's first piece


class Calls:
    """The file that arms them."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def arm(self, kind, nth):
        self.map[:116] = struct.pack("4i100x", KINDS[kind], nth, 0, 0)

    def which(self):
        return self.map[16:116].split(b"\0")[0].decode()

    def disarm(self):
        """Whether one has failed meanwhile."""
        has_failed = struct.unpack("4i", self.map[:16])[3] != 0
        self.map[:16] = bytes(16)
        return has_failed


def plain(client):
    job = client.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    if job["result"]["reason"] == "exited":
        assert job["result"]["exit_code"] == 3, job["result"]
        shown(job["stdout"], b"out\n")
        shown(job["stderr"], b"err\n")
    return job


def large(client):
    job = client.run(["sh", "-c", "cat; seq 1 20000"], stdin={"data": "in\n", "encoding": "utf-8"}, inline_bytes=1 << 20)
    if job["result"]["reason"] == "exited":
        assert job["result"]["exit_code"] == 0, job["result"]
        shown(job["stdout"], b"in\n" + OUTPUT)
    return job


def streamed(client):
    id_ = client.call("job.start", argv=["cat"], stdin="stream", lease=True)["job"]["id"]
    client.call("job.input", id=id_, data="hello\n", encoding="utf-8", eof=True)
    return client.call("job.wait", id=id_, inline_bytes=100)["jobs"][0]


def terminal(client):
    return client.run(["sh", "-c", "tty >/dev/null && echo yes"], pty={"rows": 5, "cols": 20})


def followed(client):
    request = client.request("job.run", argv=["sh", "-c", "seq 1 20000"], follow=True, fd=True)
    return client.result(request)["job"]


JOBS = (plain, large, streamed, terminal, followed)


def shown(stream, expected):
    """What is kept is right, and what is not is a gap."""
    if stream["bytes"] == len(expected) and not stream["gaps"] and "cut" not in stream:
        assert data_of(stream) == expected, stream
    for start, end in stream["gaps"]:
        assert 0 <= start < end <= stream["bytes"], stream


def attempt(daemon, job):
    """One job by a client of its own. A result, a refusal, or a connection that is closed: but never silence."""
    try:
        with daemon.client() as client:
            try:
                job(client)
                return "result"
            except RpcError as error:
                return f"error {error}"
    except (Closed, ConnectionError):
        return "closed"


def open_files(pid):
    return len(procs.descriptors(pid))


def live(client):
    return sum(n for state, n in client.call("daemon.stats")["jobs"]["by_state"].items() if state != "final")


def settled(daemon, client, files):
    """Nothing is left of what went wrong."""
    procs.eventually(lambda: not live(client), "no job lives")
    try:
        procs.eventually(lambda: open_files(daemon.worker) <= files, f"no more than {files} open files")
    except AssertionError:
        for fd in procs.descriptors(daemon.worker):
            print(fd, os.readlink(f"/proc/{daemon.worker}/fd/{fd}"))
        raise


def sweep_all(tell):
    """Every call of every kind of every job. Takes minutes."""
    for kind in KINDS:
        for job in JOBS:
            tell(f"        {kind}: {job.__name__}: {sweep(kind, job)} calls")


def sweep(kind, job, step=1):
    """Returns after how many calls it got through. A larger step: only each so many-th."""
    if is_sanitized():
        raise Skip("a sanitizer's library wants to be the first")
    assert os.path.exists(LIBRARY), LIBRARY
    daemon = Daemon()
    path = os.path.join(daemon.directory, "calls")
    calls = Calls(path)
    daemon.environment = dict(os.environ, LD_PRELOAD=LIBRARY, SUPD_CALLS=path)
    with daemon:
        watcher = daemon.client()
        for _ in range(3):
            assert attempt(daemon, job) == "result"
        worker = daemon.worker
        procs.eventually(lambda: procs.in_epoll_wait(worker), "the worker is at rest")
        files = open_files(worker)
        nth = 1
        while True:
            calls.arm(kind, nth)
            try:
                outcome = attempt(daemon, job)
                failed = calls.disarm()
                assert daemon.worker == worker, "the worker died"
                assert failed or outcome == "result", outcome
                assert attempt(daemon, job) == "result", "the next one"
                settled(daemon, watcher, files)
            except BaseException:
                print(f"{kind}: call {nth} of {job.__name__}: {calls.which()}")
                raise
            if not failed:
                return nth
            nth += step
