"""trace_kills.py DIR: when whom was sent SIGKILL. Run by row 11, as root, in a mount namespace of its own.

Mounts the kernel's trace files on DIR, records SIGKILLs in a trace instance of its own from printing "ready"
until stdin ends, and prints {pid: CLOCK_MONOTONIC seconds of the first one}. The instance goes with it.
"""

import json
import os
import re
import subprocess
import sys

LINE = re.compile(r" (\d+\.\d+): signal_generate: sig=9 .* pid=(\d+) ")


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="ascii") as out:
        out.write(text)


def first_kills(instance):
    kills = {}
    with open(os.path.join(instance, "trace"), encoding="utf-8", errors="replace") as trace:
        for line in trace:
            if match := LINE.search(line):
                kills.setdefault(match[2], float(match[1]))
    return kills


def main():
    directory = sys.argv[1]
    subprocess.run(["mount", "-t", "tracefs", "tracefs", directory], check=True)
    instance = os.path.join(directory, "instances", f"supd-bench-{os.getpid()}")
    os.mkdir(instance)
    try:
        write(instance, "trace_clock", "mono")
        write(instance, "buffer_size_kb", "4096")
        write(instance, "events/signal/signal_generate/filter", "sig == 9")
        write(instance, "events/signal/signal_generate/enable", "1")
        print("ready", flush=True)
        sys.stdin.read()
        write(instance, "events/signal/signal_generate/enable", "0")
        print(json.dumps(first_kills(instance)))
    finally:
        os.rmdir(instance)


main()
