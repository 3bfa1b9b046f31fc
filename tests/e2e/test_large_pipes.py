"""Pipes that were full are made larger, so many of each user's: also by root's daemon, which the kernel's own bound does not bind."""

import array
import fcntl
import os
import signal
import termios

import procs
from harness import ANN, BOB, SystemDaemon

SETS = "any"
MOST = 64  # of one user, see OWNER_LARGE_PIPES
FULL = 65536
GET_SIZE = 1032  # F_GETPIPE_SZ
STREAMS = ("stdout", "stderr")
FIRST, LAST = 140_000, 200_000  # bytes of each stream; a pipe that holds FULL of the last ones finds that much room


class Flooding:
    """Jobs whose pipes are all full at once, before any of them is read."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.path = os.path.join(daemon.directory, "gate")
        os.mkfifo(self.path)
        os.chmod(self.path, 0o666)
        self.gate = os.open(self.path, os.O_RDWR)

    def begin(self, client, count):
        script = (f"head -c {FIRST} /dev/zero; head -c {FIRST} /dev/zero >&2; read line <{self.path};"
                  f"head -c {LAST} /dev/zero & head -c {LAST} /dev/zero >&2 & wait; exec sleep 1000")
        return [client.start(["sh", "-c", script], output={"head_bytes": 4 << 20, "tail_bytes": 0})
                for _ in range(count)]

    def flood(self, client, jobs):
        for job in jobs:
            procs.eventually(lambda job=job: self.taken(client, job) == [FIRST] * 2, "the first bytes are read")
        os.kill(self.daemon.worker, signal.SIGSTOP)
        try:
            os.write(self.gate, b"\n" * len(jobs))
            for job in jobs:
                procs.eventually(lambda job=job: min(waiting(job)) >= FULL, "its pipes are full")
        finally:
            os.kill(self.daemon.worker, signal.SIGCONT)
        for job in jobs:
            procs.eventually(lambda job=job: self.taken(client, job) == [FIRST + LAST] * 2, "all is read")

    def run(self, client, count):
        jobs = self.begin(client, count)
        self.flood(client, jobs)
        return jobs

    @staticmethod
    def taken(client, job):
        status = client.status(job)
        return [status[stream]["bytes"] for stream in STREAMS]


def of_pipes(job, ask):
    values = []
    for number in (1, 2):
        fd = os.open(f"/proc/{job['pid']}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
        values.append(ask(fd))
        os.close(fd)
    return values


def waiting(job):
    def ask(fd):
        size = array.array("i", [0])
        fcntl.ioctl(fd, termios.FIONREAD, size)
        return size[0]
    return of_pipes(job, ask)


def large(jobs):
    return sum(size > FULL for job in jobs for size in of_pipes(job, lambda fd: fcntl.fcntl(fd, GET_SIZE)))


def test_each_user_has_so_many():
    with SystemDaemon() as daemon:
        flooding, root, ann, bob = Flooding(daemon), daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        jobs = flooding.run(ann, MOST // 2 + 1)
        assert large(jobs) == MOST
        assert large(flooding.run(bob, 1)) == large(flooding.run(root, 1)) == 2
        daemon.kill_worker()
        assert large(flooding.run(ann, 1)) == 0  # those of the worker before count
        ending = [job for job in jobs if large([job]) == 2][0]
        ann.kill_and_wait(ending)
        assert large(flooding.run(ann, 1)) == 2
        assert large(flooding.run(ann, 1)) == 0
        os.close(flooding.gate)
