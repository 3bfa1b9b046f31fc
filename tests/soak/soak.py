#!/usr/bin/env python3
"""soak.py --build DIR [--size MIB] [--count N] [--jobs N] [--deaths N] [--load N]: what takes long.

Much input and output, many who come and go, many deaths of the worker at random instants, and a day's jobs.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__)
    parser.add_argument("--build", required=True, metavar="DIR", help="the build directory")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="bytes to send through (1024)")
    parser.add_argument("--count", type=int, default=10000, metavar="N", help="how many come and go (10000)")
    parser.add_argument("--jobs", type=int, default=500, metavar="N", help="live jobs while the worker dies (500)")
    parser.add_argument("--deaths", type=int, default=50, metavar="N", help="how often it does (50)")
    parser.add_argument("--load", type=int, default=1000000, metavar="N", help="jobs of a day's load (1000000)")
    parser.add_argument("--bombs", type=int, default=100, metavar="N", help="bombs that are ended, each way (100)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has this in its name")
    options = parser.parse_args()
    for name, path in (("SUPD", "daemon/supd"), ("SUPCTL", "client/supctl"), ("SUPD_CHILD", "tests/child")):
        os.environ.setdefault(name, os.path.join(os.path.abspath(options.build), path))
    sys.path[:0] = [os.path.join(TOP, "tests/e2e"), os.path.join(TOP, "tests/soak")]
    import bombs  # the programs it tests are named by now
    import chaos
    import failing
    import load
    import soaking
    from harness import Daemon

    size, count = options.size << 20, options.count
    checks = (
        (f"{options.size} MiB through supctl run -- cat", lambda daemon: soaking.through_supctl(daemon, size)),
        (f"{options.size} MiB through job.input and job.output",
         lambda daemon: soaking.through_the_protocol(daemon, size)),
        (f"{count} times event.subscribe and event.unsubscribe",
         lambda daemon: soaking.leaves_nothing(daemon, soaking.subscribe_round, count)),
        (f"{count} connections cut in the middle of a message",
         lambda daemon: soaking.leaves_nothing(daemon, soaking.leave_round, count)),
        *((f"{options.jobs} live jobs, {options.deaths} times {what} at random instants",
           lambda daemon, kind=kind: chaos.shake(daemon, kind, options.jobs, options.deaths))
          for what, kind in (("SIGKILL", signal.SIGKILL), ("SIGSEGV", signal.SIGSEGV), ("reexec", "reexec"))),
    )
    of_their_own = (  # they start the daemon themselves
        ("each call of a job's path fails once", lambda _none: failing.sweep_all(lambda line: print(line, flush=True))),
        *((f"{options.bombs} bombs of 500 processes, with a {tree}",
           lambda _none, tree=tree: bombs.run(tree, options.bombs)) for tree in ("cgroup", "reaper")),
        (f"{options.load} jobs of two users, as many as a day has",
         lambda _none: load.day(options.build, options.load, lambda line: print(line, flush=True))),
    )
    checks = [(what, check, Daemon) for what, check in checks if options.only in what]
    checks += [(what, check, contextlib.nullcontext) for what, check in of_their_own if options.only in what]
    failed = 0
    for what, check, beside in checks:
        start = time.monotonic()
        try:
            with beside() as daemon:
                check(daemon)
            print(f"ok      {what} ({time.monotonic() - start:.1f} s)", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as failure:
            failed += 1
            print(f"FAILED  {what}: {failure}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
