"""seed.py JOBS WINDOW PROGRAM [ARG...]: the way that supd comes from, as the peer it is measured against.

A small helper on Tornado's IOLoop: start a command with both output pipes non-blocking, arm a timeout, on
expiry SIGKILL, drain the pipes, call back once with (status, stdout, stderr, has_timed_out). Runs the program
JOBS times, WINDOW of them at once, and prints what the programs of the benchmark print.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial

from tornado.ioloop import IOLoop

CHUNK = 65536


class Subprocess:
    def __init__(self, loop, argv, timeout, callback):
        self.loop, self.argv, self.timeout, self.callback = loop, argv, timeout, callback
        self.process = None
        self.has_timed_out = False

    def start(self):
        if self.process is not None:
            raise RuntimeError("started twice")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.output = {self.process.stdout: [], self.process.stderr: []}
        self.open = set(self.output)
        self.deadline = self.loop.add_timeout(self.loop.time() + self.timeout, self.expire)
        for pipe in self.output:
            os.set_blocking(pipe.fileno(), False)
            self.loop.add_handler(pipe.fileno(), partial(self.readable, pipe), IOLoop.READ)

    def expire(self):
        self.has_timed_out = True
        self.process.kill()

    def readable(self, pipe, fd, _events):
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if data:
            self.output[pipe].append(data)
            return
        self.loop.remove_handler(fd)
        self.open.remove(pipe)
        pipe.close()
        if not self.open:
            self.finish()

    def finish(self):
        self.loop.remove_timeout(self.deadline)
        status = self.process.wait()
        out, err = (b"".join(parts) for parts in self.output.values())
        self.callback(status, out, err, self.has_timed_out)


def main():
    jobs, window, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    loop = IOLoop.current()
    latencies = []
    begun = 0

    def begin():
        nonlocal begun
        begun += 1
        Subprocess(loop, argv, 60.0, partial(ended, time.monotonic())).start()

    def ended(started, status, _out, _err, has_timed_out):
        if status != 0 or has_timed_out:
            sys.exit(f"seed: the program did not end with 0 but with {status}")
        latencies.append(time.monotonic() - started)
        if begun < jobs:
            begin()
        elif len(latencies) == jobs:
            loop.stop()

    start = time.monotonic()
    for _ in range(min(window, jobs)):
        loop.add_callback(begin)
    loop.start()
    seconds = time.monotonic() - start
    latencies.sort()
    print(json.dumps({"count": jobs, "seconds": seconds, "per_second": jobs / seconds,
                      "median_us": latencies[jobs // 2] * 1e6, "p99_us": latencies[jobs * 99 // 100] * 1e6,
                      "max_us": latencies[-1] * 1e6}))


main()
