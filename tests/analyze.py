#!/usr/bin/env python3
"""What gcc -fanalyzer finds in the programs: analyze.py BUILD. What is no fault stands in analyzed.txt, with its reason.

Not in suites, whose allocations may end them."""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("common", "daemon", "client")
# As meson has it; less optimized than it is built, since what is inlined is told of another function.
OPTIONS = ["-fanalyzer", "-O1", "-std=gnu17", "-D_GNU_SOURCE", "-DHASH_NONFATAL_OOM=1", "-I.", "-c", "-o", "/dev/null",
           "-fdiagnostics-path-format=none", "-fdiagnostics-color=never"]


def known():
    """(file, function, what) of what is no fault."""
    with open(os.path.join(HERE, "analyzed.txt"), encoding="utf-8") as file:
        lines = [line.split(None, 3) for line in file if line.strip() and not line.startswith("#")]
    assert all(len(line) == 4 for line in lines), "analyzed.txt: FILE FUNCTION KIND REASON"
    return {tuple(line[:3]) for line in lines}


def findings(path, build):
    """(file, function, what, line as it is told) of a file."""
    done = subprocess.run(["gcc", *OPTIONS, f"-I{build}", path], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    function, found = "-", []
    for line in done.stderr.splitlines():
        if match := re.search(r"In function '([^']+)'", line):
            function = match.group(1)
        elif match := re.search(r"warning: .*\[-Wanalyzer-([a-z-]+)\]", line):
            found.append((path, function, match.group(1), line))
    return found


def main():
    build = sys.argv[1]
    paths = sorted(path for top in FOLDERS for path in glob.glob(f"{top}/**/*.c", recursive=True))
    paths += sorted(glob.glob("tests/*.c") + glob.glob("tests/bench/*.c"))
    allowed, seen, bad = known(), set(), []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda path: findings(path, build), paths):
            for path, function, kind, line in found:
                seen.add((path, function, kind))
                if (path, function, kind) not in allowed:
                    bad.append(f"{function}: {line}")
    # Another gcc finds less, and that is no fault of the list.
    print("\n".join(bad) or f"{len(paths)} files, {len(seen)} known to be no fault")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
