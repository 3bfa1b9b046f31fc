"""A day's load in minutes: jobs of two users, of all kinds, and what the worker holds after them."""

import os
import time
import subprocess

import procs
from client import RpcError
from harness import ANN, BOB, GUARD, SystemDaemon, acting_as, child, is_sanitized

ROUND = 10000
# Of a round, for each user: made by the load client, and by the client of the tests, a fifth of whose calls start no job.
SMALL, SHELL, ODD = 4530, 350, 150
AT_ONCE = 96  # well over what libev's tables grow at, so that the first round makes them as large as they get
REST = 8  # seconds after which what a flood has left of memory was given back
GROWTH = 1.05  # of the worker's private memory, from the first round's to the last's


def private_bytes(pid):
    """What the process has written and shares with nobody (proc(5), smaps_rollup): pages of a library are not counted, which
    are its own or not as others use it too."""
    lines = procs.read(pid, "smaps_rollup").decode().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty"))


def by_load_client(daemon, program, user, count, *argv):
    with acting_as(user) as record:
        groups = os.getgrouplist(user, record.pw_gid)
    subprocess.run([program, daemon.socket, str(count), str(AT_ONCE), *argv], check=True, stdout=subprocess.DEVNULL, cwd="/",
                   user=record.pw_uid, group=record.pw_gid, extra_groups=groups)


def odd_jobs(daemon, user, count):
    """What does not end well, or is not waited for: one of each kind in turn."""
    with daemon.client_of(user) as client:
        kinds = (
            lambda: client.call("job.run", argv=["no-such-program"]),
            lambda: client.call("job.run", argv=child("sleep", 1000), timeout=0.005, grace=0),
            lambda: client.call("job.run", argv=child("says"), name="said", labels={"a": "b"}, retain=0),
            lambda: client.call("job.run", argv=["true"], key=f"key-{os.urandom(8).hex()}"),
            lambda: client.call("job.run", argv=["true"], cwd="/no/such/directory"),
            lambda: client.call("job.run", argv=["true"], inline_bytes=-1),
            lambda: client.call("job.status", id=1 << 50),
            lambda: client.call("job.kill", id=client.start(child("sleep", 1000))["id"], grace=0),
            lambda: client.call("job.run", argv=["cat"], stdin={"data": "x" * 100000, "encoding": "utf-8"}),
            lambda: client.call("job.run", argv=["sh", "-c", "(setsid sleep 1000 &) ; exit 3"]),
            lambda: client.start(child("sleep", 1000), lease=True),  # ends with the connection
        )
        for i in range(count):
            try:
                kinds[i % len(kinds)]()
            except RpcError:
                pass  # what is refused is part of it
        client.call("event.subscribe", since=0)


def at_rest(daemon, root):
    """The worker's private memory and its descriptors, once all is over and written."""
    def is_over():
        stats = root.call("daemon.stats")
        live = sum(count for state, count in stats["jobs"]["by_state"].items() if state != "final")
        return live == 0 and stats["clients"]["connected"] == 1 and stats["history"]["waiting"] == 0

    procs.eventually(is_over, "all jobs are over and in the history", 10 * GUARD)
    time.sleep(REST)
    return private_bytes(daemon.worker), len(procs.descriptors(daemon.worker))


def day(build, count, say):
    """`count` jobs. What the worker has of memory and descriptors must be flat from the first round on."""
    program, tiny = (os.path.join(os.path.abspath(build), "tests/bench", name) for name in ("client", "tiny"))
    with SystemDaemon() as daemon:
        root = daemon.client()
        first = last = None
        for number in range(max(2, count // ROUND)):
            for user in (ANN, BOB):
                by_load_client(daemon, program, user, SMALL, tiny)
                by_load_client(daemon, program, user, SHELL, "/bin/sh", "-c", "echo of stdout; echo of stderr >&2")
                odd_jobs(daemon, user, ODD)
            last = at_rest(daemon, root)
            first = first or last
            if number % 10 == 0:
                say(f"        {(number + 1) * ROUND} jobs: {last[0] >> 10} KiB of its own, {last[1]} descriptors")
        assert last[1] <= first[1], f"{last[1]} descriptors, {first[1]} after the first {ROUND} jobs"
        if not is_sanitized():
            assert last[0] <= first[0] * GROWTH, f"{last[0]} bytes of its own, {first[0]} after the first {ROUND} jobs"
        return first, last
