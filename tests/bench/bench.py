#!/usr/bin/env python3
"""bench.py --build DIR [--quick] [--set KEY=VALUE] [ROW ...]: what supd costs, in one table.

Every row compares with something measured in the same run on the same machine, in turns with it; a ratio
is the median of the turns' ratios. Leaves with 0 when every row that can be measured here was, met or
missed; with 1 when one went wrong.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import time

import rows_crowd
import rows_deadline
import rows_flow
import rows_many
import rows_rate
import rows_store
import rows_whole
from rig import DESCRIPTORS, Daemon, Failed, Skip, Tools

ROWS = {
    "1": rows_rate.row_1,
    "2": rows_rate.row_2,
    "3": rows_rate.row_3,
    "4": rows_whole.row_4,
    "5": rows_rate.row_5,
    "6": rows_flow.row_6,
    "7": rows_flow.row_7,
    "8": rows_many.row_8,
    "9": rows_many.row_9,
    "10": rows_many.row_10,
    "11": rows_deadline.row_11,
    "12": rows_store.row_12,
    "13": rows_whole.row_13,
    "14": rows_store.row_14,
    "15": rows_store.row_15,
    "16": rows_crowd.row_16,
    "18": rows_rate.row_18,
    "followers": rows_crowd.row_followers,
}
HEADER = ("row", "what", "measured", "compared with", "ratio", "target", "")


class Bench:
    """What rows share: the tools, the sizes, and the lines of the table."""

    def __init__(self, tools, quick, settings):
        self.tools, self.quick, self.settings = tools, quick, settings
        self.rounds = 3 if quick else 5
        self.lines, self.notes = [], []

    def scale(self, full, quick):
        return quick if self.quick else full

    def daemon(self, *settings, descriptors=None):
        return Daemon(self.tools, [*self.settings, *settings], descriptors)

    def client_env(self, daemon):
        return dict(os.environ, SUPD_SOCKET=daemon.socket, SUPCTL_NO_AUTOSTART="1")

    def here(self, name):
        return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)

    def name(self, program):
        return "tiny" if program == self.tools.tiny else program

    def add(self, row, what, measured, versus, ratio, target, met):
        ratio = "" if ratio is None else f"{ratio:.2f}"
        self.lines.append((row, what, measured, versus, ratio, target, "met" if met else "missed"))

    def at_least(self, row, what, measured, versus, ratio, target):
        self.add(row, what, measured, versus, ratio, f"at least {target:g}", ratio >= target)

    def at_most(self, row, what, measured, versus, ratio, target):
        self.add(row, what, measured, versus, ratio, f"at most {target:g}", ratio <= target)

    def peer(self, row, what, measured):
        self.lines.append((row, what, measured, "", "", "", "peer"))

    def skip(self, row, what, why):
        self.lines.append((row, what, why, "", "", "", "skipped"))

    def fail(self, row, why):
        self.lines.append((row, ROWS[row].__name__, why, "", "", "", "failed"))

    def note(self, text):
        self.notes.append(text)


def table(lines):
    """The lines in columns. What a skipped or failed row says is long and alone, so it sets no width."""
    lines = [HEADER, *lines]
    regular = [line for line in lines if line[-1] not in ("skipped", "failed")]
    widths = [max(len(line[i]) for line in regular) for i in range(len(HEADER) - 1)]
    text = []
    for line in lines:
        if line in regular:
            cells = [cell.ljust(width) for cell, width in zip(line, [*widths, 0])]
        else:
            cells = [line[0].ljust(widths[0]), line[1].ljust(widths[1]), f"{line[-1]}: {line[2]}"]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "-" * max(len(t) for t in text[:1] + text))
    return "\n".join(text)


def describe(bench):
    """One line on what is measured where; also the proof that a daemon starts at all."""
    with bench.daemon() as daemon:
        capabilities = daemon.info["capabilities"]
        version = daemon.info["version"]
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"supd {version}, tree {capabilities['tree']}, spawn {capabilities['spawn']}; "
          f"Linux {os.uname().release}, {cores} cores, load {load:.1f}")
    if load > cores / 2:
        bench.note(f"the machine was busy (load {load:.1f}) when this began: ratios are less certain")


def run_row(bench, row):
    start = time.monotonic()
    try:
        ROWS[row](bench)
    except Skip as skipped:
        bench.skip(row, ROWS[row].__name__, str(skipped))
    except (Failed, OSError, subprocess.SubprocessError) as failed:
        bench.fail(row, f"{type(failed).__name__}: {failed}")
    print(f"row {row}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def raise_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def leave(_signal, _frame):
    # SystemExit runs the exits of all contexts, so no daemon and no job stays behind.
    sys.exit(130)


def main():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, metavar="DIR", help="the build directory")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting for every supd")
    parser.add_argument("rows", nargs="*", metavar="ROW",
                        help=f"some of {' '.join(ROWS)}; without: all")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"no such row: {' '.join(unknown)}")
    signal.signal(signal.SIGTERM, leave)
    raise_descriptors()
    bench = Bench(Tools(options.build), options.quick, options.set)
    try:
        describe(bench)
    except Failed as failed:
        sys.exit(f"bench: {failed}")
    for row in options.rows or ROWS:
        run_row(bench, row)
    print(table(bench.lines))
    for note in bench.notes:
        print(f"note: {note}")
    ends = [line[-1] for line in bench.lines]
    print(", ".join(f"{ends.count(end)} {end}" for end in ("met", "missed", "skipped", "failed")))
    sys.exit(1 if "failed" in ends else 0)


if __name__ == "__main__":
    main()
