"""rows_flow: much output of one job: capturing it, following it."""

import statistics
import time

from rig import Failed, measure
from sample import Peak, mebi, private_bytes, ratio, rounds

HEAD = TAIL = 512 << 10  # the default budget


def speed(size, seconds):
    return f"{size / statistics.median(seconds) / 1e9:.2f} GB/s"


def row_6(bench):
    size = bench.scale(8 << 30, 1 << 30)
    grown, idle = [], []
    with bench.daemon() as daemon:
        worker = daemon.worker()

        def capture(size=size):
            before = private_bytes([worker])
            with Peak(worker) as peak:
                start = time.monotonic()
                job = daemon.rpc.call("job.run", argv=[bench.tools.flood, str(size)], inline_bytes=0)["job"]
                seconds = time.monotonic() - start
            if job["stdout"]["bytes"] != size or job["result"]["exit_code"] != 0:
                raise Failed(f"{job['stdout']['bytes']} of {size} bytes captured, result {job['result']}")
            grown.append(max(peak.bytes, private_bytes([worker])) - before)
            idle.append(before)
            return seconds

        def bare(size=size):
            done = measure([bench.tools.limit_capture, HEAD, TAIL, bench.tools.flood, size])
            if done["bytes"] != size:
                raise Failed(f"limit_capture saw {done['bytes']} of {size} bytes")
            return done["seconds"]

        capture(16 << 20)
        bare(16 << 20)
        grown.clear()
        idle.clear()
        ours, limits = rounds(3, capture, bare)
    bench.at_least("6", f"capture of {size >> 30} GiB from one child", speed(size, ours),
                   f"read and copy into a ring {speed(size, limits)}", ratio(limits, ours), 0.8)
    bench.add("6", "worker memory while and after, more than before", mebi(max(grown)),
              f"before {mebi(idle[0])}", None, "within 2 MiB", max(grown) <= 2 << 20)


def row_7(bench):
    size = bench.scale(2 << 30, 256 << 20)
    flood = bench.tools.flood
    with bench.daemon() as daemon:
        def follow():
            argv = [bench.tools.runmany, 1, bench.tools.supctl, "run", "--", flood, size]
            return measure(argv, env=bench.client_env(daemon))["seconds"]

        def cat():
            return measure([bench.tools.runmany, 1, "/bin/sh", "-c", f"{flood} {size} | cat"])["seconds"]

        ours, limits = rounds(3, follow, cat)
    bench.at_least("7", f"supctl run following {size >> 20} MiB to /dev/null", speed(size, ours),
                   f"cat through a pipe {speed(size, limits)}", ratio(limits, ours), 0.5)
