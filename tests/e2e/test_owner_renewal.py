"""A user's share counts on over the death of the worker, and as soon as it is read again, lower or higher: the one who is at a
limit is told which, what they have goes on, and nobody else notices."""

import contextlib
import json
import os

import procs
from harness import ANN, BOB, LIMIT_REACHED, SystemDaemon, child, text

SETS = "any"
SLEEP = child("sleep", 1000)


class Renewed(SystemDaemon):
    """The machine's daemon with shares by its configuration, and clients of root and two users."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def configure(self, access):
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(self.settings, file)

    def renew(self, **settings):
        self.settings.update(settings)
        self.configure(None)
        assert self.root.call("daemon.reload") is not None

    def __enter__(self):
        super().__enter__()
        self.root, self.ann, self.bob = self.client(), self.client_of(ANN), self.client_of(BOB)
        return self

    def works(self, client=None):
        """Another user's job, or that user's."""
        assert text((client or self.bob).run(["echo", "on"])) == "on\n"


def told(error, limit):
    assert error.code == LIMIT_REACHED and error.data["limit"] == limit, (error, error.data)


def refused(client, limit, method="job.start", **params):
    told(client.refused(method, **(params or {"argv": ["true"]})), limit)


@contextlib.contextmanager
def connection_refused(daemon, limit):
    with daemon.client_of(ANN) as late:
        message = late.recv()
        assert message["error"]["code"] == LIMIT_REACHED and message["error"]["data"]["limit"] == limit, message
        late.expect_closed()
    yield


def test_live_jobs():
    with Renewed(owner_live_jobs=3) as daemon:
        jobs = [daemon.ann.start(SLEEP) for _ in range(3)]
        daemon.kill_worker()
        refused(daemon.ann, "owner_live_jobs")
        daemon.works()
        daemon.renew(owner_live_jobs=4)
        jobs.append(daemon.ann.start(SLEEP))
        refused(daemon.ann, "owner_live_jobs")
        daemon.renew(owner_live_jobs=1)
        refused(daemon.ann, "owner_live_jobs")
        daemon.works()
        daemon.kill_worker()
        refused(daemon.ann, "owner_live_jobs")
        assert [daemon.ann.status(job)["state"] for job in jobs] == ["running"] * 4
        for job in jobs:
            daemon.ann.kill_and_wait(job)
        daemon.works(daemon.ann)


def test_connections():
    with Renewed(owner_clients=3) as daemon:
        others = [daemon.client_of(ANN) for _ in range(2)]
        assert [other.call("daemon.info")["name"] for other in others] == ["supd"] * 2
        daemon.kill_worker()
        with connection_refused(daemon, "owner_clients"):
            daemon.works()
        daemon.renew(owner_clients=4)
        others.append(daemon.client_of(ANN))
        daemon.works(others[-1])
        daemon.renew(owner_clients=1)
        with connection_refused(daemon, "owner_clients"):
            daemon.works()
            with daemon.client_of(BOB) as one_more:
                assert one_more.recv()["error"]["data"]["limit"] == "owner_clients"
        for client in [daemon.ann, *others]:  # those who are there stay
            daemon.works(client)


def test_requests_that_wait():
    with Renewed(owner_calls=5) as daemon:
        job = daemon.ann.start(SLEEP)
        other = daemon.client_of(ANN)
        waiting = [(client, client.request("job.wait", id=job["id"])) for client in (daemon.ann, other) for _ in range(2)]
        for client in (daemon.ann, other):  # what was sent before has been taken in
            client.refused("job.status", id=1 << 50)
        waiting.append((other, other.request("job.wait", id=job["id"])))
        refused(other, "owner_calls", "job.wait", id=job["id"])
        daemon.kill_worker()
        refused(other, "owner_calls", "job.wait", id=job["id"])
        daemon.works()
        daemon.renew(owner_calls=6)
        waiting.append((daemon.ann, daemon.ann.request("job.wait", id=job["id"])))
        refused(daemon.ann, "owner_calls", "job.wait", id=job["id"])
        daemon.renew(owner_calls=2)
        refused(other, "owner_calls", "job.status", id=job["id"])
        daemon.works()
        daemon.root.call("job.kill", id=job["id"], grace=0)
        for client, request in waiting:
            assert client.result(request)["done"]
        daemon.works(daemon.ann)


def fill(client, limit, most, **spec):
    """Starts what lasts until that is refused. Returns the jobs."""
    jobs = []
    for _ in range(most):
        answer = client.answer(client.request("job.start", argv=SLEEP, **spec))
        if "error" in answer:
            assert answer["error"]["code"] == LIMIT_REACHED and answer["error"]["data"]["limit"] == limit, answer
            return jobs
        jobs.append(answer["result"]["job"])
    raise AssertionError(f"{limit} was never refused")


def test_bytes_of_what_was_started():
    spec = {"labels": {f"large-{n}": "x" * 1000 for n in range(50)}}
    with Renewed(owner_queued_bytes=200_000) as daemon:
        jobs = fill(daemon.ann, "owner_queued_bytes", 5, **spec)
        assert len(jobs) == 3, len(jobs)
        daemon.kill_worker()
        assert fill(daemon.ann, "owner_queued_bytes", 1, **spec) == []
        own = daemon.bob.start(SLEEP, **spec)
        daemon.renew(owner_queued_bytes=250_000)
        jobs += fill(daemon.ann, "owner_queued_bytes", 2, **spec)
        assert len(jobs) == 4
        daemon.renew(owner_queued_bytes=1024)
        assert fill(daemon.ann, "owner_queued_bytes", 1, **spec) == []
        daemon.bob.kill_and_wait(own)
        daemon.works()
        for job in jobs:
            daemon.ann.kill_and_wait(job)
        daemon.works(daemon.ann)


def test_captured_bytes():
    budget = {"output": {"head_bytes": 4 << 20, "tail_bytes": 0}}
    most = ["sh", "-c", "head -c 3000000 /dev/zero; exec sleep 1000"]
    some = ["head", "-c", "900000", "/dev/zero"]
    with Renewed(owner_output_bytes=1 << 20) as daemon:
        job = daemon.ann.start(most, **budget)
        procs.eventually(lambda: daemon.ann.status(job)["stdout"]["bytes"] == 3_000_000, "it is read to its end")
        daemon.kill_worker()
        told_gaps = daemon.ann.run(some, **budget)["stdout"]
        assert told_gaps["bytes"] == 900_000 and told_gaps["gaps"], told_gaps["gaps"]
        assert daemon.bob.run(some, **budget)["stdout"]["gaps"] == []
        daemon.renew(owner_output_bytes=8 << 20)
        assert daemon.ann.run(some, **budget)["stdout"]["gaps"] == []
        daemon.renew(owner_output_bytes=0)
        gaps = daemon.ann.run(some, **budget)["stdout"]["gaps"]
        assert gaps and gaps[0][1] == 900_000, gaps
        assert daemon.ann.status(job)["stdout"]["bytes"] == 3_000_000
        daemon.ann.kill_and_wait(job)


def test_descriptors():
    with Renewed(owner_descriptors=20) as daemon:
        jobs = fill(daemon.ann, "owner_descriptors", 20)
        daemon.kill_worker()
        assert fill(daemon.ann, "owner_descriptors", 2) == []
        daemon.works()
        daemon.renew(owner_descriptors=32)
        more = fill(daemon.ann, "owner_descriptors", 20)
        assert len(more) >= 3, more
        daemon.renew(owner_descriptors=8)
        refused(daemon.ann, "owner_descriptors")
        with connection_refused(daemon, "owner_descriptors"):
            daemon.works()
        for job in jobs + more:
            daemon.ann.kill_and_wait(job)
        daemon.works(daemon.ann)


SHARE = 8  # of the launchers, for one user


def test_launches_that_wait():
    with Renewed(owner_queued_jobs=3) as daemon:
        fifo = os.path.join(daemon.directory, "fifo")  # whoever opens it waits for a reader, before the exec
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)

        def starting():
            return [job["id"] for job in daemon.root.call("job.list", states=["starting"])["jobs"]]

        def fill_up(client, most):
            """Launches are made at once until all of the share are stuck; then others wait."""
            def one_more():
                client.request("job.start", argv=["true"], stdout={"file": fifo})
                return len(starting()) >= most
            procs.eventually(one_more, f"{most} launches are stuck or wait")
            refused(client, "owner_queued_jobs")

        with daemon.client_of(ANN) as client:
            fill_up(client, SHARE + 3)
            daemon.works()
        daemon.kill_worker(at_rest=False)
        with daemon.client_of(ANN) as client:  # those that are stuck hold no launcher of the next worker
            fill_up(client, SHARE + SHARE + 3)
            daemon.works()
            daemon.renew(owner_queued_jobs=1)
            refused(daemon.ann, "owner_queued_jobs")
            daemon.works()
            daemon.renew(owner_queued_jobs=4)
            fill_up(client, SHARE + SHARE + 4)
            daemon.works()
        jobs = starting()
        daemon.root.call("job.kill", ids=jobs, grace=0)
        assert daemon.root.call("job.wait", ids=jobs)["done"]
        daemon.works(daemon.ann)
