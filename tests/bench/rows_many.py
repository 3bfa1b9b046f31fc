"""rows_many: thousands of live jobs: what they cost, what they wake."""

import itertools
import os
import statistics
import time

import peers
from rig import DESCRIPTORS, Failed
from rows_rate import client, warm
from sample import kept_bytes, micros, pluck, private_bytes, ratio, rounds, settle, switches


def quiet(count):
    return itertools.repeat({}, count)


def row_8(bench):
    live, jobs, tiny = 5000, bench.scale(800, 300), bench.tools.tiny
    # Two daemons, both there all the time, so that only what lives under one of them differs.
    with bench.daemon(descriptors=DESCRIPTORS) as crowded, bench.daemon(descriptors=DESCRIPTORS) as empty:
        crowded.start_quiet(quiet(live))
        warm(client(bench, crowded, 200, 1, tiny), client(bench, empty, 200, 1, tiny))
        many, none = rounds(bench.rounds, client(bench, crowded, jobs, 1, tiny),
                            client(bench, empty, jobs, 1, tiny))
    many, none = pluck(many, "median_us"), pluck(none, "median_us")
    bench.at_most("8", f"one job.run with {live} live jobs, tiny, median", micros(statistics.median(many)),
                  f"with none {micros(statistics.median(none))}", ratio(many, none), 1.2)


def row_9(bench):
    wanted, most = 6000, DESCRIPTORS // 3
    with bench.daemon(descriptors=DESCRIPTORS) as daemon:
        warm(client(bench, daemon, 100, 4, bench.tools.tiny))
        worker = [daemon.worker()]
        daemon.rest()
        before, kept = private_bytes(worker), kept_bytes(worker[0])
        live = len(daemon.start_quiet(quiet(wanted), refusable=True))
        daemon.rest()
        grown, kept = private_bytes(worker) - before, kept_bytes(worker[0]) - kept
        if daemon.refusal:
            bench.note(f"row 9: refused after {live} jobs: {daemon.refusal}")
    bench.add("9", f"live jobs under {DESCRIPTORS} descriptors", str(live), f"three each: {most}",
              live / most, f"at least {wanted}", live >= wanted)
    if live == 0:
        raise Failed("not one quiet job was started")
    bench.add("9", "worker memory a live job", f"{grown / live / 1024:.2f} KiB",
              f"before: {before / 1024:.0f} KiB in all", None, "at most 3 KiB", grown / live <= 3 * 1024)
    bench.peer("9", "and memory that it shares with the keeper, a live job", f"{kept / live / 1024:.2f} KiB")


def row_10(bench):
    jobs, seconds = 1000, bench.scale(60, 10)
    with (bench.daemon() as daemon, peers.Ticker() as ticker,
          peers.optional(peers.Supervisor) as supervisor):
        daemon.start_quiet(quiet(jobs))
        daemon.rest()
        settle(daemon.tree())
        watched = {"supd": daemon.tree(), "ticker": [ticker.pid]}
        if supervisor.pid:
            watched["supervisor"] = [supervisor.pid]
        before = {name: switches(pids) for name, pids in watched.items()}
        time.sleep(seconds)
        woke = {name: switches(pids) - before[name] for name, pids in watched.items()}
        alive = sum(os.path.exists(f"/proc/{pid}") for pid in daemon.quiet)
        same = daemon.tree() == watched["supd"]
    if alive != jobs or not same:
        raise Failed(f"{alive} of {jobs} quiet jobs left, supd's processes {'' if same else 'not '}the same")
    what = f"wake-ups of supd in {seconds} s with {jobs} quiet jobs"
    bench.add("10", what, str(woke["supd"]), f"a clock of 1 s: {woke['ticker']}", None, "0",
              woke["supd"] == 0)
    if supervisor.pid:
        bench.peer("10", "supervisord with no program, the same seconds", str(woke["supervisor"]))
    else:
        bench.skip("10", "supervisord", supervisor.why)
