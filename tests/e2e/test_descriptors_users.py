"""Descriptors that one user passes to the machine's daemon are in no process of another's, at no time."""

import itertools
import json
import os
import socket
import tempfile

import procs
from harness import ANN, BOB, SystemDaemon, assert_reason, child, text

SETS = "any"
MARKER = "passed-by-ann"
COUNT = 12


def holders(processes, marker=MARKER):
    """Of these processes, those that have such a file open."""
    found = []
    for pid in processes:
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(marker in link for link in links):
            found.append((pid, procs.command(pid)))
    return found


def descendants(pid):
    below = procs.children(pid)
    return below + [other for child_ in below for other in descendants(child_)]


class Passing:
    """Requests of one user with descriptors, in all the states in which the daemon has them."""

    def __init__(self, daemon, directory):
        self.file = tempfile.NamedTemporaryFile(prefix=MARKER, dir=directory)
        self.client, self.daemon, self.others = daemon.client_of(ANN), daemon, []

    def fd(self):
        return self.file.fileno()

    def half_a_line(self):
        """Held until the rest of the line comes."""
        other = self.daemon.client_of(ANN)
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "job.start", "params": {"argv": ["true"], "stdout": "fd"}})
        socket.send_fds(other.socket, [line.encode()], [self.fd()])  # no newline
        self.others.append(other)

    def live(self):
        """In jobs that live."""
        request = self.client.request_with([self.fd()] * 2, "job.start", argv=child("sleep", 1000), stdin="fd", stdout="fd")
        return self.client.result(request)["job"]

    def flood(self):
        """On their way, to be taken and to be refused, while others are launched."""
        requests = [self.client.request_with([self.fd()], "job.run", argv=["true"], stdout="fd") for _ in range(COUNT)]
        requests += [self.client.request_with([self.fd()] * 3, "job.run", argv=["true"]) for _ in range(COUNT)]
        requests += [self.client.request_with([self.fd()], "job.run", argv=["true"], stdin="fd", stdout="fd")
                     for _ in range(COUNT)]
        return requests

    def close(self):
        for other in self.others:
            other.close()
        self.file.close()


def passed_beside(way, tree):
    with SystemDaemon(["--set", f"spawn={way}", "--set", f"tree={tree}"]) as daemon:
        passing, bob = Passing(daemon, daemon.directory), daemon.client_of(BOB)
        job = passing.live()
        passing.half_a_line()
        for _ in range(3):
            requests = passing.flood()
            seen = [bob.request("job.run", argv=child("fds")) for _ in range(COUNT)]
            stay = bob.start(child("sleep", 1000))
            for request in seen:
                lines = text(bob.result(request)["job"]).splitlines()
                assert [line.split()[0] for line in lines] == ["0", "1", "2"], lines
                assert MARKER not in str(lines), lines
            own = [pid for pid in descendants(daemon.pid) if pid == stay["pid"] or (  # and its reaper, where there is one
                procs.name(pid) == "supd-reaper" and stay["pid"] in procs.children(pid))]
            assert len(own) == 1 + (tree == "reaper") and holders(own) == [], (own, holders(own))
            for request in requests:
                passing.client.answer(request)
            bob.kill_and_wait(stay)
        assert [pid for pid, _ in holders([job["pid"]])] == [job["pid"]], "so that the test says something"
        passing.client.kill_and_wait(job)
        for other in passing.others:
            other.close()
        procs.eventually(lambda: holders([daemon.pid, *descendants(daemon.pid)]) == [], "nobody keeps it")
        assert_reason(bob.run(["true"]), "exited")
        passing.close()


def test_in_both_ways_of_starting_and_of_holding_trees():
    for way, tree in itertools.product(("fast", "plain"), ("auto", "reaper")):
        passed_beside(way, tree)
