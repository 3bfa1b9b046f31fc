"""Jobs whose every line is counted, clients that wait, and short jobs one after another, while the daemon is shaken."""

import os
import random
import threading

import procs
from client import Closed, data_of
from harness import TICKER


class Shorts(threading.Thread):
    """A client that runs short jobs, each with a key: what was cut off is asked for again."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_under_test = daemon
        self.over = threading.Event()
        self.done = self.cut = 0
        self.failure = None

    def one(self, client, number):
        code = number % 200
        job = client.call("job.run", argv=["sh", "-c", f"echo out {number}; exit {code}"], key=f"short{number}",
                          lease=False)["job"]
        assert job["result"]["reason"] == "exited" and job["result"]["exit_code"] == code, job
        assert data_of(job["stdout"]) == f"out {number}\n".encode(), job

    def run(self):
        client, number = self.daemon_under_test.client(), 1
        try:
            while not self.over.is_set():
                try:
                    self.one(client, number)
                    self.done, number = self.done + 1, number + 1
                except (Closed, BrokenPipeError, ConnectionError):
                    self.cut += 1
                    client = self.daemon_under_test.client()
        except BaseException as error:  # told by the test's own thread
            self.failure = error


class Chaos:
    def __init__(self, daemon, jobs, seed):
        self.daemon = daemon
        self.random = random.Random(seed)
        self.stop = os.path.join(daemon.directory, "stop")
        client = daemon.client()
        self.jobs = [client.call("job.start", argv=[TICKER, self.stop, str(self.random.randint(20, 120))],
                                 output={"head_bytes": 4 << 20})["job"]["id"] for _ in range(jobs)]
        self.waiters = []
        for id_ in self.jobs[::3]:
            waiter = daemon.client()
            self.waiters.append((waiter, waiter.request("job.wait", id=id_, inline_bytes=4 << 20)))
        daemon.client().call("daemon.info")
        self.shorts = Shorts(daemon)
        self.shorts.start()

    def pause(self):
        """A random moment."""
        threading.Event().wait(self.random.uniform(0.01, 0.25))

    def check_job(self, job):
        out = data_of(job["stdout"]).decode().splitlines()
        err = data_of(job["stderr"]).decode().splitlines()
        count = int(out[-1].split()[1])
        assert out[:-1] == [f"line {i}" for i in range(1, count + 1)], f"job {job['id']}: stdout is not what it wrote"
        assert err == [f"err {i}" for i in range(7, count + 1, 7)], f"job {job['id']}: stderr is not what it wrote"
        result = job["result"]
        assert result["reason"] == "exited" and result["exit_code"] == count % 50, result

    def finish(self):
        """Every line of every job is there once, every job has its one true result, whoever waited has his answer."""
        self.shorts.over.set()
        self.shorts.join(procs.GUARD)
        if self.shorts.failure:
            raise self.shorts.failure
        with open(self.stop, "w", encoding="utf-8"):
            pass
        for waiter, request in self.waiters:
            job = waiter.result(request)["jobs"][0]
            self.check_job(job)
        client = self.daemon.client()
        for id_ in self.jobs:
            self.check_job(client.call("job.wait", id=id_, inline_bytes=4 << 20, limit=procs.GUARD)["jobs"][0])
        listed = client.call("job.list", limit=1000)["jobs"]
        assert len({job["id"] for job in listed}) == len(listed)
        assert all(job["state"] == "final" for job in listed), [job for job in listed if job["state"] != "final"]


def shake(daemon, kind, jobs, times):
    """`kind`: a signal for the worker, or "reexec"."""
    chaos = Chaos(daemon, jobs, seed=times)
    for _ in range(times):
        chaos.pause()
        if kind == "reexec":
            daemon.client().call("daemon.reexec")
        else:
            daemon.kill_worker(kind, at_rest=False)
    shorts = chaos.shorts
    procs.eventually(lambda: shorts.done > times or shorts.failure, "short jobs get through as well")
    chaos.finish()
