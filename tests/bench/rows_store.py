"""rows_store: the history: how listing it grows, what durability costs; and recovery after the worker's death."""

import os
import signal
import sqlite3
import statistics
import time

from rig import Failed
from rows_many import quiet
from rows_rate import TRUE, client, warm
from sample import micros, pluck, rate, ratio

MANY = 100000


def multiply(state, upto):
    """Copies of the jobs that are there, until there are so many."""
    with sqlite3.connect(os.path.join(state, "history.db")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(job)") if row[1] != "id"]
        names = ", ".join(f'"{name}"' for name in columns)
        while (count := db.execute("SELECT count(*) FROM job").fetchone()[0]) < upto:
            top = db.execute("SELECT max(id) FROM job").fetchone()[0]
            db.execute(f"INSERT INTO job (id, {names}) SELECT id + ?, {names} FROM job ORDER BY id LIMIT ?",
                       (top, upto - count))
        top = db.execute("SELECT max(id) FROM job").fetchone()[0]
        db.execute("INSERT OR REPLACE INTO note (name, value) VALUES ('next_job', ?)", (top + 1,))
    db.close()


def page(daemon, rounds):
    """Microseconds for one page of the list from the middle of what there is, in the history."""
    newest = daemon.rpc.call("job.list", limit=1)["jobs"][0]["id"]
    took = []
    for i in range(rounds):
        before = newest // 2 + 60 + i % 10
        began = time.perf_counter()
        jobs = daemon.rpc.call("job.list", before=before, limit=50)["jobs"]
        took.append((time.perf_counter() - began) * 1e6)
        if len(jobs) != 50:
            raise Failed(f"a page of {len(jobs)} jobs")
    return statistics.median(took)


def row_12(bench):
    count = bench.scale(400, 100)

    def filled(many):
        with bench.daemon() as daemon:
            list(daemon.rpc.pipeline("job.run", ({"argv": [bench.tools.tiny]} for _ in range(200)), 4))
            daemon.rest()
            daemon.restart(lambda state: multiply(state, many))
            return page(daemon, count)
    few, many = filled(200), filled(MANY)
    bench.at_most("12", f"job.list, a page, with {MANY} final jobs", micros(many), f"with 200 {micros(few)}",
                  many / few, 2)


def row_14(bench):
    live = 2000
    took = []
    with bench.daemon() as daemon:
        daemon.start_quiet(quiet(live))
        for _ in range(bench.scale(5, 2)):
            worker = daemon.worker()
            began = time.perf_counter()
            os.kill(worker, signal.SIGKILL)
            if daemon.rpc.call("daemon.stats")["jobs"]["by_state"]["running"] != live:
                raise Failed("jobs are missing")
            took.append((time.perf_counter() - began) * 1e3)
            time.sleep(0.2)
    worst = max(took)
    bench.add("14", f"recovery of {live} live jobs, SIGKILL to the first answer", f"{worst:.0f} ms",
              f"median {statistics.median(took):.0f} ms", None, "at most 500 ms", worst <= 500)


def row_15(bench):
    jobs = bench.scale(1000, 300)
    with bench.daemon() as stored, bench.daemon("store=none") as bare:
        warm(client(bench, stored, jobs // 5, 4, TRUE), client(bench, bare, jobs // 5, 4, TRUE))
        with_store, without = [], []
        for _ in range(bench.rounds):
            with_store.append(client(bench, stored, jobs, 4, TRUE)())
            without.append(client(bench, bare, jobs, 4, TRUE)())
    with_store, without = pluck(with_store, "per_second"), pluck(without, "per_second")
    bench.at_least("15", "row 1 with the store", rate(with_store), f"without {rate(without)}",
                   ratio(with_store, without), 0.9)
