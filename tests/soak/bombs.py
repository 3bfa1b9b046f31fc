"""A user's job that forks in all the ways there are, ended at a random moment, again and again: nobody of it is left."""

import random
import threading

import procs
from harness import ANN, SystemDaemon
from intruding import install
from test_escape import bomb


def ends(client):
    """The ways to end it, each at a random moment."""
    def wait():
        threading.Event().wait(random.uniform(0, 0.1))

    def kill(job):
        wait()
        client.kill(job, grace=0)

    def stop(job):
        wait()
        client.kill(job, grace=0.05)

    def deadline(job):
        client.call("job.update", id=job["id"], timeout=random.uniform(0.001, 0.1))

    def leader(job):
        wait()
        procs.kill(job["pid"])

    return kill, stop, deadline, leader


def run(tree, count):
    """`tree`: cgroup or reaper. Raises AssertionError where somebody is left, or another job lost anybody."""
    with SystemDaemon(["--set", f"tree={tree}"]) as daemon:
        path, client = install(daemon), daemon.client_of(ANN)
        ways = ends(client)
        for number in range(count):
            bomb(daemon, path, client, ways[number % len(ways)], grace=0.1)
