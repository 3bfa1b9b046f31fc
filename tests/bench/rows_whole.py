"""rows_whole: whole programs: what supctl run takes, what a daemon takes to start and to stay."""

import statistics
import subprocess
import time

import peers
from rig import Daemon, Skip, measure
from rows_rate import TRUE
from sample import mebi, micros, private_bytes, ratio, rounds, settle


def row_4(bench):
    count = bench.scale(100, 40)
    with bench.daemon() as daemon:
        def supctl(count=count):
            argv = [bench.tools.runmany, count, bench.tools.supctl, "run", "--", TRUE]
            return measure(argv, env=bench.client_env(daemon))["median_us"]

        def shell(count=count):
            return measure([bench.tools.runmany, count, "/bin/sh", "-c", TRUE])["median_us"]

        supctl(10)
        shell(10)
        ours, shells = rounds(bench.rounds, supctl, shell)
        median = statistics.median(ours)
        bench.at_most("4", "whole process supctl run /bin/true", micros(median),
                      f"sh -c {micros(statistics.median(shells))}", ratio(ours, shells), 3)
        try:
            systemd = peers.systemd_run(bench.tools.runmany, bench.scale(30, 10))
            bench.at_most("4", "the same", micros(supctl()), f"systemd-run --wait {micros(systemd)}",
                          supctl() / systemd, 0.125)
        except Skip as skipped:
            bench.skip("4", "against systemd-run --wait", str(skipped))
    for peer in (peers.task_spooler, peers.nq):
        try:
            bench.peer("4", peer.__doc__, micros(peer(bench.tools.runmany, count)))
        except Skip as skipped:
            bench.skip("4", peer.__doc__, str(skipped))


def row_13(bench):
    starts = bench.scale(20, 8)

    def start():
        daemon = Daemon(bench.tools, bench.settings)
        began = time.monotonic()
        # Entering ends with the first answer of daemon.info.
        with daemon:
            return time.monotonic() - began

    def bare():
        began = time.monotonic()
        subprocess.run([TRUE], stdin=subprocess.DEVNULL, check=True)
        return time.monotonic() - began

    ours, bares = rounds(starts, start, bare)
    with bench.daemon() as daemon:
        settle(daemon.tree())
        held = private_bytes(daemon.tree())
    with subprocess.Popen(["/bin/sleep", "900"]) as sleep:
        settle([sleep.pid])
        least = private_bytes([sleep.pid])
        sleep.kill()
    bench.add("13", "daemon idle, private memory of all its processes", mebi(held),
              f"an idle sleep {mebi(least)}", held / least, "at most 5 MiB", held <= 5 << 20)
    with peers.optional(peers.Supervisor) as supervisor:
        if supervisor.pid:
            bench.peer("13", "supervisord with no program", mebi(private_bytes([supervisor.pid])))
        else:
            bench.skip("13", "supervisord", supervisor.why)
    first = statistics.median(ours) * 1e6
    bench.add("13", "start of supd to its first answer", micros(first),
              f"true, whole {micros(statistics.median(bares) * 1e6)}", ratio(ours, bares), "at most 20 ms",
              first <= 20000)
