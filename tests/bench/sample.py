"""sample: what /proc says of processes, and the statistics that rows are made of."""

import os
import statistics
import threading
import time


def private_bytes(pids):
    """Memory of these processes that they share with nobody."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
            for line in rollup:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
    return total


def kept_bytes(pid):
    """Of the memory that keeper and worker share: a file of no name."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:supd-kept"):
            return os.stat(f"/proc/{pid}/fd/{fd}").st_blocks * 512
    return 0


def switches(pids):
    """Times that threads of these processes left the processor, so times they woke; both kinds."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return total


def settle(pids, limit=5.0):
    """Waits until half a second passes without a switch, at most `limit` seconds."""
    end = time.monotonic() + limit
    before = switches(pids)
    while time.monotonic() < end:
        time.sleep(0.5)
        now = switches(pids)
        if now == before:
            return
        before = now


class Peak:
    """A context manager: the most private memory that a process has while inside."""

    def __init__(self, pid, period=0.05):
        self.pid, self.period = pid, period
        self.bytes = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.wait(self.period):
            self.bytes = max(self.bytes, private_bytes([self.pid]))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def rounds(count, *measures):
    """Runs the measures in turn (A B A B ...), `count` times; a list of results for each measure."""
    results = [[] for _ in measures]
    for _ in range(count):
        for measure, kept in zip(measures, results):
            kept.append(measure())
    return results


def ratio(ours, theirs):
    """The median of what neighbours in time say, so that a slow spell of the machine falls on both."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def p99(values):
    return sorted(values)[min(len(values) * 99 // 100, len(values) - 1)]


def pluck(results, field):
    return [r[field] for r in results]


def rate(values):
    return f"{statistics.median(values):.0f} jobs/s"


def micros(value):
    return f"{value:.0f} µs" if value < 10000 else f"{value / 1000:.1f} ms"


def mebi(value):
    return f"{value / 1048576:.2f} MiB"
