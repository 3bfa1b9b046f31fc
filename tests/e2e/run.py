#!/usr/bin/env python3
"""Runs the end-to-end tests: run.py [--jobs N] [--list] [NAME...], NAME a part of module.test_name.

Every test is a function test_* in test_*.py here or in ../wire, and runs in a process of its own. The last
line says how many passed and failed.
"""

import argparse
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = [HERE, os.path.join(os.path.dirname(HERE), "wire")]
GUARD = 180  # seconds for one test
SKIPPED = 77


class Overdue(BaseException):
    pass


def collect(filters):
    """Pairs of a test's full name and its function, in the order of files and lines; and how many were left out.

    A module with SETS = "any" says the same with all settings, but for its functions under @every_set: it is left out
    of the runs with settings of their own (SUPD_TEST_SET), unless it is named.
    """
    found, left_out = [], 0
    special = bool(os.environ.get("SUPD_TEST_SET")) and not filters
    for folder in FOLDERS:
        sys.path.insert(0, folder)
        for file in sorted(os.listdir(folder)):
            if not (file.startswith("test_") and file.endswith(".py")):
                continue
            module = importlib.import_module(file[:-3])
            for name, function in vars(module).items():
                full = f"{file[:-3]}.{name}"
                if name.startswith("test_") and callable(function):
                    if filters and not any(part in full for part in filters):
                        continue
                    if special and getattr(module, "SETS", "every") == "any" and not hasattr(function, "every_set"):
                        left_out += 1
                    else:
                        found.append((full, function))
    return found, left_out


def overdue(number, frame):
    raise Overdue(f"not over after {GUARD} s")


def run_here(function, output):
    """In the child: runs the test with everything it prints going to `output`. Never returns."""
    from harness import Skip  # found once collect() has run
    os.dup2(output, 1)
    os.dup2(output, 2)
    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(GUARD)
    code = 1
    try:
        function()
        code = 0
    except Skip as reason:
        print(reason)
        code = SKIPPED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def begin(function):
    """Starts a test in a new process. Returns its pid and the file of its output."""
    output = tempfile.TemporaryFile()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        run_here(function, output.fileno())
    return pid, output


def report(name, code, output, spent, verbose, counts):
    output.seek(0)
    said = output.read().decode(errors="replace").strip()
    output.close()
    if code == 0:
        counts["passed"] += 1
        if verbose:
            print(f"ok {name} ({spent})")
    elif code == SKIPPED:
        counts["skipped"] += 1
        print(f"skipped {name}: {said}")
    else:
        counts["failed"] += 1
        print(f"FAILED {name} ({spent})")
        print("\n".join("    " + line for line in said.splitlines()))
    sys.stdout.flush()


def run_all(tests, jobs, verbose):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    waiting = list(reversed(tests))
    running = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name, function = waiting.pop()
            pid, output = begin(function)
            running[pid] = (name, output, time.monotonic())
        pid, status, usage = os.wait4(-1, 0)
        name, output, began = running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        spent = f"{time.monotonic() - began:.2f} s, CPU {usage.ru_utime + usage.ru_stime:.2f} s"
        report(name, code, output, spent, verbose, counts)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="tests at once")
    parser.add_argument("--list", action="store_true", help="print the names alone")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each test that passed, too")
    parser.add_argument("names", nargs="*", help="parts of the names of the tests to run")
    options = parser.parse_args()
    tests, left_out = collect(options.names)
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    if not tests:
        print("no test has such a name", file=sys.stderr)
        return 2
    from harness import CHILD, SUPD  # found once collect() has run
    for program in (SUPD, CHILD):
        if not os.access(program, os.X_OK):
            print(f"there is no {program}: build first", file=sys.stderr)
            return 2
    counts = run_all(tests, max(1, options.jobs), options.verbose)
    if left_out:
        print(f"left out: {left_out} that say the same with any settings")
    tail = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{tail}")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
