"""supctl run can be ended by signals whatever else stands still."""

import contextlib
import os
import signal

import procs
from harness import GUARD, child, daemon_test

SETS = "any"


def end(process, number):
    """That signal again and again, as by somebody who grows impatient, until supctl has ended by it."""
    def ended():
        if process.poll() is None:
            process.send_signal(number)
        return process.returncode is not None

    procs.eventually(ended, "supctl has ended")
    assert process.returncode == -number, process.returncode


@contextlib.contextmanager
def unread(make):
    """The writing end of what nobody reads."""
    reader, writer = make()
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@daemon_test
def test_after_its_job_where_nobody_reads(daemon, client):
    with unread(os.pipe) as writer:
        for count, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT), 1):
            process = daemon.supctl_start("run", "--", *child("flood", 300_000), stdout=writer)
            procs.eventually(lambda c=count: len(client.call("job.list", states=["final"])["jobs"]) == c, "it is over")
            end(process, number)
            process.communicate()


@daemon_test
def test_at_a_terminal_that_nobody_reads(daemon, client):
    with unread(os.openpty) as terminal:
        process = daemon.supctl_start("run", "--", *child("flood"), stdout=terminal)
        until = [0]

        def stands():
            jobs = client.call("job.list", states=["running"])["jobs"]
            before, until[0] = until[0], jobs[0]["stdout"]["bytes"] if jobs else 0
            return before == until[0] > 100_000

        procs.eventually(stands, "all is full")
        end(process, signal.SIGTERM)
        process.communicate()


@daemon_test
def test_while_supd_stands_still(daemon, client):
    process = daemon.supctl_start("run", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert process.stdout.readline() == b"up\n"
    worker = daemon.worker
    procs.kill(worker, signal.SIGSTOP)
    try:
        end(process, signal.SIGINT)
    finally:
        procs.kill(worker, signal.SIGCONT)
    process.communicate(timeout=GUARD)
