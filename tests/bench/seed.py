"""seed.py streams|bare JOBS WINDOW PROGRAM [ARG...]: the way that supd comes from, as the peer it is measured against.

On Tornado's IOLoop: start a command with both output pipes captured, arm a timeout, on expiry SIGKILL, call back
once with (status, stdout, stderr, has_timed_out). `streams` is Tornado's own Subprocess with its pipe streams;
`bare` only uses the loop's handlers and reads the pipes itself. Runs the program JOBS times, WINDOW of them at once,
and prints what the programs of the benchmark print.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial

import tornado.process
from tornado.ioloop import IOLoop

CHUNK = 65536


class BareSubprocess:
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


class StreamSubprocess:
    def __init__(self, loop, argv, timeout, callback):
        self.loop, self.argv, self.timeout, self.callback = loop, argv, timeout, callback
        self.has_timed_out = False

    def start(self):
        stream = tornado.process.Subprocess.STREAM
        self.process = tornado.process.Subprocess(self.argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        self.deadline = self.loop.add_timeout(self.loop.time() + self.timeout, self.expire)
        self.loop.spawn_callback(self.run)

    def expire(self):
        self.has_timed_out = True
        self.process.proc.kill()

    async def run(self):
        ends = [self.process.stdout.read_until_close(), self.process.stderr.read_until_close(),
                self.process.wait_for_exit(raise_error=False)]
        out, err, status = [await end for end in ends]
        self.loop.remove_timeout(self.deadline)
        self.callback(status, out, err, self.has_timed_out)


def main():
    helper = {"streams": StreamSubprocess, "bare": BareSubprocess}[sys.argv[1]]
    jobs, window, argv = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    loop = IOLoop.current()
    latencies = []
    begun = 0

    def begin():
        nonlocal begun
        begun += 1
        helper(loop, argv, 60.0, partial(ended, time.monotonic())).start()

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
