"""rows_deadline: many deadlines in one instant."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from rig import DESCRIPTORS, Failed, Skip, scratch_dir
from sample import micros, p99


class KillTrace:
    """The kernel's own record of who was sent SIGKILL when; needs root. A context manager."""

    def __init__(self, script):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            raise Skip("the kernel's trace of signals needs root and unshare")
        self.directory = scratch_dir()
        argv = ["unshare", "--mount", sys.executable, script, self.directory]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            said = self.process.communicate()[1].strip().splitlines()
            self.__exit__()
            raise Skip(f"no trace of signals here: {said[-1] if said else 'it said nothing'}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its stdin ends, so it removes what it made in the kernel and leaves.
        with self.process:
            self.process.stdin.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kills(self):
        """Ends the trace; the instant (CLOCK_MONOTONIC) of the first SIGKILL by pid."""
        return {int(pid): at for pid, at in json.loads(self.process.communicate()[0]).items()}


def start(daemon, count, ahead):
    """Starts quiet jobs whose timeouts end in one instant; their records, labelled with the timeout."""
    instant = time.monotonic() + ahead

    def spec():
        timeout = round(max(instant - time.monotonic(), 0.001), 6)
        return {"timeout": timeout, "grace": 0, "labels": {"timeout": str(timeout)}}

    jobs = daemon.start_quiet(spec() for _ in range(count))
    if time.monotonic() > instant - 0.5:
        raise Failed(f"starting {count} jobs took over {ahead - 0.5} s: no one instant for their deadlines")
    return jobs


def end(daemon, jobs):
    """The jobs' records once all have ended, each by its timeout."""
    ended = daemon.rpc.call("job.wait", ids=[job["id"] for job in jobs])["jobs"]
    reasons = sorted({job["result"]["reason"] for job in ended})
    if len(ended) != len(jobs) or reasons != ["timeout"]:
        raise Failed(f"{len(ended)} jobs ended by {reasons} instead of {len(jobs)} by their timeout")
    return ended


def deadline(job):
    return job["started_at"] + float(job["labels"]["timeout"])


def bare(program, count):
    """The limit: a loop that kills as many children of its own. p99 of the kills, and of the deaths."""
    pids = [os.posix_spawn(program, [program], {}) for _ in range(count)]
    start_at = time.monotonic()
    sent, dead = [], []
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        sent.append(time.monotonic() - start_at)
    for pid in pids:
        os.waitpid(pid, 0)
        dead.append(time.monotonic() - start_at)
    return p99(sent), p99(dead)


def report(bench, what, late, limit, exact):
    if exact or late <= 0.05:
        bench.add("11", what, micros(late * 1e6), f"a bare loop of kill {micros(limit * 1e6)}", late / limit,
                  "at most 50 ms", late <= 0.05)
    else:
        bench.skip("11", what, f"{micros(late * 1e6)} is only an upper bound, see below")


def row_11(bench):
    count = 2000
    with bench.daemon(descriptors=DESCRIPTORS) as daemon:
        jobs = start(daemon, count, 6.0)
        try:
            with KillTrace(bench.here("trace_kills.py")) as trace:
                ended = end(daemon, jobs)
                sent = trace.kills()
            missing = sum(job["pid"] not in sent for job in jobs)
            if missing:
                raise Failed(f"the kernel saw no SIGKILL for {missing} of {count} jobs")
            wall = time.time() - time.monotonic()
            late = [sent[job["pid"]] + wall - deadline(job) for job in jobs]
            exact, how = True, "SIGKILL's instant is from the kernel's trace"
        except Skip as skipped:
            ended = end(daemon, jobs)
            late = [job["ended_at"] - deadline(job) for job in ended]
            exact, how = False, f"{skipped}, so death and reaping are in it (ended_at): an upper bound"
    if min(late) < -0.001:
        raise Failed(f"a job was killed {-min(late):.6f} s before its deadline")
    limit = bare(bench.tools.sleeper, count)[0 if exact else 1]
    report(bench, f"{count} deadlines in one instant: deadline to SIGKILL, p99", p99(late), limit, exact)
    instants = sorted(deadline(job) for job in ended)
    spread = instants[count * 99 // 100] - instants[count // 100]
    bench.note(f"row 11: {how}; 98 % of the deadlines lie within {spread * 1000:.1f} ms")
