"""The N-th call of a kind fails, for every N until a job got through without one: see tests/calls.h and who includes it."""

import mmap
import os
import struct
import subprocess

import procs
from client import NOT_FOUND, Closed, RpcError, data_of
from harness import CHILD, Daemon, Skip, is_sanitized

LIBRARY = os.path.join(os.path.dirname(CHILD), "libcalls.so")
REFUSER = os.path.join(os.path.dirname(CHILD), "refuser")
KINDS = {name: 1 << bit for bit, name in enumerate(
    ("memory", "database", "descriptors", "processes", "sending", "receiving", "writing", "syncing", "space", "watching"))}
OF_LIBRARIES = ("memory", "database")  # the others are the kernel's to refuse
NOT_SANITIZED = (*OF_LIBRARIES, "space")  # a sanitizer's library wants to be the first, and ends where it gets no memory
OF_THE_STORE = {"database": "waiting", "writing": "waiting", "syncing": "safe"}  # with what it is to do about a job
SKIPPED = 77
FORM = "4i100s"
OUTPUT = b"".join(b"%d\n" % i for i in range(1, 20001))  # more than a log's first piece


class Calls:
    """The file that arms them."""

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self.map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def arm(self, kind, nth):
        self.map[:struct.calcsize(FORM)] = struct.pack(FORM, KINDS[kind], nth, 0, 0, b"")

    def which(self):
        return struct.unpack_from(FORM, self.map)[4].split(b"\0")[0].decode()

    def has_failed(self):
        return struct.unpack_from(FORM, self.map)[3] != 0

    def disarm(self):
        """Whether one has failed meanwhile."""
        has_failed = self.has_failed()
        self.map[:16] = bytes(16)
        return has_failed


class FailingDaemon(Daemon):
    """A daemon whose calls of a kind can be made to fail."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.calls = Calls(os.path.join(self.directory, "calls"))
        if kind in NOT_SANITIZED and is_sanitized():
            raise Skip(f"{kind}: it is the sanitizer's own")
        if kind in OF_LIBRARIES:
            self.environment = dict(os.environ, LD_PRELOAD=LIBRARY, SUPD_CALLS=self.calls.path)
        elif subprocess.run([REFUSER, self.calls.path, "/bin/true"]).returncode == SKIPPED:
            raise Skip("the kernel does not ask about system calls here")

    def start(self):
        """In a directory in which there was one before, whose first job it knows from the history; the second it has itself."""
        with Daemon(directory=self.directory) as earlier:
            large(earlier.client())
        super().start()
        with self.client() as client:
            large(client)
            procs.eventually(lambda: client.status(2)["durable"], "it is written")
        return self

    def command(self):
        return super().command() if self.kind in OF_LIBRARIES else [REFUSER, self.calls.path, *super().command()]


# Each job: its record once it is over, and what it writes when all goes well.

def plain(client):
    return client.run(["sh", "-c", "echo out; echo err >&2; exit 3"], inline_bytes=1 << 20), b"out\n", b"err\n", 3


def large(client):
    job = client.run(["sh", "-c", "cat; seq 1 20000"], stdin={"data": "in\n", "encoding": "utf-8"}, inline_bytes=1 << 20)
    return job, b"in\n" + OUTPUT, b"", 0


def streamed(client):
    id_ = client.call("job.start", argv=["cat"], stdin="stream", lease=True)["job"]["id"]
    client.call("job.input", id=id_, data="hello\n", encoding="utf-8", eof=True)
    return client.call("job.wait", id=id_, inline_bytes=100)["jobs"][0], b"hello\n", b"", 0


def terminal(client):
    return client.run(["sh", "-c", "tty >/dev/null && echo yes"], pty={"rows": 5, "cols": 20}), b"yes\r\n", b"", 0


def followed(client):
    request = client.request("job.run", argv=["sh", "-c", "seq 1 20000"], follow=True, fd=True)
    return client.result(request)["job"], OUTPUT, b"", 0


def archived(client):
    return client.status(1, inline_bytes=1 << 20), b"in\n" + OUTPUT, b"", 0


def remembered(client):
    return client.status(2, inline_bytes=1 << 20), b"in\n" + OUTPUT, b"", 0


JOBS = (plain, large, streamed, terminal, followed, archived, remembered)


def check_stream(client, job, name, expected, whole):
    """The record's piece of it and the logs have what it wrote, and what they do not have is told as a gap."""
    stream = job[name]
    assert stream["bytes"] == len(expected), (name, stream["bytes"], len(expected))
    if "data" in stream and not stream["gaps"] and "cut" not in stream:
        assert data_of(stream) == expected, stream
    assert not (whole and stream["gaps"]), stream["gaps"]
    shown = at = 0
    while at < len(expected):
        answer = client.output(job, stream=name, offset=at, limit_bytes=1 << 20)
        for chunk in answer["chunks"]:
            data = data_of(chunk)
            assert expected[chunk["offset"]:chunk["offset"] + len(data)] == data, (name, chunk["offset"])
            shown += len(data)
        shown += sum(0 if whole else gap["end"] - gap["start"] for gap in answer["gaps"])
        assert answer["next"][name] > at, answer
        at = answer["next"][name]
    assert shown == len(expected), (name, shown, stream["gaps"])


def check(client, whole, job, out, err, code):
    """The job is over as it should be, or it could not be started; and whoever asks anew is told the same."""
    assert job["state"] == "final", job
    if job["result"]["reason"] == "exited":
        assert job["result"]["exit_code"] == code, job["result"]
        check_stream(client, job, "stdout", out, whole)
        check_stream(client, job, "stderr", err, whole)
    else:
        assert job["result"]["reason"] == "spawn_failed" and not whole, job["result"]
    assert client.status(job)["result"] == job["result"]
    listed = client.call("job.list", limit=1, before=job["id"] + 1)["jobs"]
    assert [(j["id"], j["result"]) for j in listed] == [(job["id"], job["result"])], listed


def attempt(daemon, job, whole=False):
    """One job by a client of its own. A result, a refusal, or a connection that is closed: but never silence. `whole`:
    no call fails, and nothing is missing."""
    try:
        with daemon.client() as client:
            try:
                check(client, whole, *job(client))
                return "result"
            except RpcError as error:
                assert error.code != NOT_FOUND, error  # nobody has forgotten it
                return f"error {error}"
    except (Closed, ConnectionError):
        return "closed"


def open_files(daemon):
    return [len(procs.descriptors(pid)) for pid in (daemon.pid, daemon.worker)]


def processes(daemon):
    """What the daemon has below itself, and what was left to this process."""
    return len(procs.descendants(os.getpid()))


def live(client):
    return sum(n for state, n in client.call("daemon.stats")["jobs"]["by_state"].items() if state != "final")


class Rest:
    """What a daemon holds when nothing is under way: nothing more after what went wrong."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.watcher = daemon.client()
        self.worker = daemon.worker
        procs.eventually(lambda: procs.in_epoll_wait(self.worker), "the worker is at rest")
        self.files = open_files(daemon)
        self.processes = processes(daemon)

    def has_come(self):
        assert self.daemon.worker == self.worker, "the worker died"
        procs.eventually(lambda: not live(self.watcher), "no job lives")
        procs.eventually(lambda: processes(self.daemon) <= self.processes, "no more processes than before")
        try:
            procs.eventually(lambda: all(now <= then for now, then in zip(open_files(self.daemon), self.files)),
                             f"no more than {self.files} open files")
        except AssertionError:
            for fd in procs.descriptors(self.worker):
                print(fd, os.readlink(f"/proc/{self.worker}/fd/{fd}"))
            raise

    def stored(self, what):
        """The history has written what is known, or it is safe there, too."""
        history = self.watcher.call("daemon.stats")["history"]
        return history["safe"] if what == "safe" else history["waiting"] == 0


def sweep_all(tell):
    """Every call of every kind of every job. Takes minutes."""
    for kind in KINDS:
        for job in JOBS:
            tell(f"        {kind}: {job.__name__}: {sweep(kind, job)} calls")


def sweep(kind, job, step=1):
    """Returns after how many calls it got through. A larger step: only each so many-th."""
    with FailingDaemon(kind) as daemon:
        for _ in range(3):
            assert attempt(daemon, job, whole=True) == "result"
        rest, calls, nth, to_store = Rest(daemon), daemon.calls, 1, OF_THE_STORE.get(kind)
        while True:
            procs.eventually(lambda: not to_store or rest.stored(to_store), "the store has done what it was to do")
            calls.arm(kind, nth)
            try:
                outcome = attempt(daemon, job)
                procs.eventually(lambda: not to_store or calls.has_failed() or rest.stored(to_store), "it has done so")
                failed = calls.disarm()
                assert failed or outcome == "result", outcome
                assert attempt(daemon, job, whole=True) == "result", "the next one"
                rest.has_come()
            except BaseException:
                print(f"{kind}: call {nth} of {job.__name__}: {calls.which()}")
                raise
            if not failed:
                break
            nth += step
        procs.eventually(lambda: rest.stored(to_store or "waiting"), "all is stored")
        return nth
