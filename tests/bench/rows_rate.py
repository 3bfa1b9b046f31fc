"""rows_rate: how many jobs a second, and how long one takes, over one connection."""

import statistics
from contextlib import ExitStack

import peers
from rig import Failed, measure
from sample import micros, pluck, rate, ratio, rounds

TRUE = "/bin/true"


def client(bench, daemon, jobs, window, program):
    return lambda: measure([bench.tools.client, daemon.socket, jobs, window, program])


def limit(bench, jobs, window, program):
    return lambda: measure([bench.tools.limit, jobs, window, program])


def warm(*measures):
    for each in measures:
        each()


def row_1(bench):
    at_once(bench, "1", TRUE, bench.scale(1000, 300), 0.90)


def row_2(bench):
    at_once(bench, "2", bench.tools.tiny, bench.scale(3000, 600), 0.70)


def at_once(bench, row, program, jobs, target):
    with bench.daemon() as daemon:
        warm(client(bench, daemon, jobs // 5, 4, program), limit(bench, jobs // 5, 4, program))
        ours, limits = rounds(bench.rounds, client(bench, daemon, jobs, 4, program),
                              limit(bench, jobs, 4, program))
    ours, limits = pluck(ours, "per_second"), pluck(limits, "per_second")
    bench.at_least(row, f"job.run pipelined, 4 at once, {bench.name(program)}", rate(ours),
                   f"limit {rate(limits)}", ratio(ours, limits), target)


def row_3(bench):
    jobs = bench.scale(1500, 500)
    tiny = bench.tools.tiny
    with bench.daemon() as daemon:
        warm(client(bench, daemon, 200, 1, tiny), limit(bench, 200, 1, tiny))
        ours, limits = rounds(bench.rounds, client(bench, daemon, jobs, 1, tiny), limit(bench, jobs, 1, tiny))
    medians, bare, p99s = pluck(ours, "median_us"), pluck(limits, "median_us"), pluck(ours, "p99_us")
    added = statistics.median(a - b for a, b in zip(medians, bare))
    median = statistics.median(medians)
    bench.add("3", "one job.run after another, tiny: added to the limit's median",
              f"{micros(median)} (+{added:.0f})", f"limit {micros(statistics.median(bare))}",
              ratio(medians, bare), "at most 150 µs added", added <= 150)
    bench.at_most("3", "the same: p99 over the median", micros(statistics.median(p99s)),
                  f"median {micros(median)}", ratio(p99s, medians), 5)


def row_5(bench):
    python = peers.tornado_python()

    def seed(kind, jobs, program):
        return lambda: measure([python, bench.here("seed.py"), kind, jobs, 4, program])

    with bench.daemon() as daemon:
        for program, jobs, target in ((bench.tools.tiny, bench.scale(2000, 300), 4),
                                      (TRUE, bench.scale(1000, 150), 1.3)):
            name = bench.name(program)
            ours, seeds, bare, limits = rounds(bench.rounds, client(bench, daemon, jobs, 4, program),
                                               seed("streams", jobs, program), seed("bare", jobs, program),
                                               limit(bench, jobs, 4, program))
            ours, seeds, bare, limits = (pluck(each, "per_second") for each in (ours, seeds, bare, limits))
            bench.at_least("5", f"against Tornado's Subprocess, 4 at once, {name}", rate(ours),
                           f"Tornado {rate(seeds)}", ratio(ours, seeds), target)
            # How dear a start is on this machine decides how far above Tornado anything can come.
            bench.note(f"row 5: with {name} the limit itself is {ratio(limits, seeds):.2f} times Tornado; handlers on "
                       f"the bare IOLoop that read the pipes themselves do {rate(bare)}")


def row_18(bench):
    jobs = bench.scale(2000, 600)
    tiny = bench.tools.tiny
    ways = {}
    with ExitStack() as stack:
        for tree in ("none", "cgroup", "reaper"):
            try:
                daemon = stack.enter_context(bench.daemon(f"tree={tree}"))
            except Failed as failed:
                if tree == "none":
                    raise
                bench.skip("18", f"what a tree costs: {tree}", str(failed))
                continue
            warm(client(bench, daemon, 200, 4, tiny))
            ways[tree] = client(bench, daemon, jobs, 4, tiny)
        results = dict(zip(ways, rounds(bench.rounds, *ways.values())))
    rates = {tree: pluck(result, "per_second") for tree, result in results.items()}
    for tree, target in (("cgroup", 0.8), ("reaper", 0.35)):
        if tree in rates:
            bench.at_least("18", f"what a tree costs: row 2 with a {tree} a job", rate(rates[tree]),
                           f"without {rate(rates['none'])}", ratio(rates[tree], rates["none"]), target)
