"""What clients gave for jobs that are over takes little memory, and room for others from nobody."""

import procs
from harness import Daemon, Skip, is_sanitized

SETS = "any"
LARGE = ["true"] + ["x" * 125_000] * 60  # too large for an exec, not for a request


def run_large(client, count):
    """Without answers, which would be as large."""
    for _ in range(count):
        client.notify("job.start", argv=LARGE, retain=600)


def over(client, count):
    reasons = client.call("daemon.stats")["jobs"]["by_reason"]
    return sum(reasons.values()) == count


def test_in_the_history():
    with Daemon() as daemon:
        client = daemon.client()
        run_large(client, 2)
        procs.eventually(lambda: over(client, 2), "they are over")
        before = procs.resident_bytes(daemon.worker)
        run_large(client, 8)
        procs.eventually(lambda: over(client, 10), "all are over")
        grown = procs.resident_bytes(daemon.worker) - before
        assert is_sanitized() or grown < 60 << 20, f"{grown >> 20} MiB more for {8 * 7} MB of jobs that are over"


def test_without_one():
    if is_sanitized():
        raise Skip("a quarter of a gigabyte is slow to go through")
    with Daemon(options=["--set", "store=none"]) as daemon:
        client = daemon.client()
        for count in range(1, 41):  # more than is kept for the next worker
            run_large(client, 1)
            procs.eventually(lambda n=count: over(client, n), "it is over, and was not refused")
