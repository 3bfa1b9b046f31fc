"""rows_crowd: what many clients, or unkind ones, cost the others."""

import contextlib
import statistics
import subprocess

from rig import Failed, job_env, measure
from sample import Peak, mebi, micros, pluck, private_bytes, ratio, rounds

SILENT = FOLLOWERS = 200


@contextlib.contextmanager
def crowd(bench, daemon, *words):
    """The program that makes the crowd, from when all are there to the end of the with statement."""
    argv = [bench.tools.crowd, daemon.socket, *map(str, words)]
    with subprocess.Popen(argv, env=job_env(), stdout=subprocess.PIPE) as process:
        try:
            if not process.stdout.readline():
                raise Failed(f"crowd ended with {process.wait()}")
            yield
        finally:
            process.terminate()


def row_16(bench):
    jobs = bench.scale(1500, 500)
    tiny = bench.tools.tiny
    with bench.daemon() as quiet, bench.daemon() as noisy, crowd(bench, noisy, "noise", SILENT):
        def one_by_one(daemon):
            return lambda: measure([bench.tools.client, daemon.socket, jobs, 1, tiny])

        ours, alone = rounds(bench.rounds, one_by_one(noisy), one_by_one(quiet))
    ours, alone = pluck(ours, "median_us"), pluck(alone, "median_us")
    bench.at_most("16", f"row 3 beside one that floods, one that never reads and {SILENT} silent",
                  micros(statistics.median(ours)), f"alone {micros(statistics.median(alone))}", ratio(ours, alone), 2)


def row_followers(bench):
    size = bench.scale(4 << 30, 512 << 20)
    grown = []
    with bench.daemon() as daemon:
        worker = daemon.worker()

        def flood(followers):
            job = daemon.rpc.call("job.start", argv=["sh", "-c", f"read go; exec {bench.tools.flood} {size}"],
                                  stdin="stream")["job"]
            words = ("follow", job["id"], followers - followers // 2, followers // 2)
            before = private_bytes([worker])
            with crowd(bench, daemon, *words) if followers else contextlib.nullcontext(), Peak(worker) as peak:
                begin = daemon.rpc.call("job.status", id=job["id"])["job"]["elapsed"]
                daemon.rpc.call("job.input", id=job["id"], eof=True)
                done = daemon.rpc.call("job.wait", id=job["id"])["jobs"][0]
            if done["stdout"]["bytes"] != size:
                raise Failed(f"{done['stdout']['bytes']} of {size} bytes, result {done['result']}")
            grown.append(peak.bytes - before)
            return size / (done["elapsed"] - begin)

        flood(0)
        with_them, alone = rounds(bench.rounds, lambda: flood(FOLLOWERS), lambda: flood(0))
    bench.at_least("followers", f"a flood that {FOLLOWERS} follow, half of them never reading",
                   f"{statistics.median(with_them) / 1e9:.2f} GB/s", f"nobody {statistics.median(alone) / 1e9:.2f} GB/s",
                   ratio(with_them, alone), 0.8)
    bench.add("followers", "worker memory while they do, more than before", mebi(max(grown)), "", None,
              "within 1 MiB each", max(grown) <= FOLLOWERS << 20)
