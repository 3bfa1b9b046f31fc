"""Answers of calls that have waited are counted as others are: one user's many large ones do not come at once."""

import concurrent.futures
import select

import procs
from harness import ANN, BOB, LIMIT_REACHED, SystemDaemon, text

SETS = "any"
INLINE = 400_000  # bytes, each of which is six as JSON: more than a socket takes, and than the user may have
SOME, MEMBERS = 6, 10


class Shares(SystemDaemon):
    """The machine's daemon with little room for what waits, a job of ann's that has printed, and ann, bob and root."""

    def __init__(self):
        super().__init__(["--set", "owner_queued_bytes=1048576"])

    def __enter__(self):
        super().__enter__()
        ann = self.client_of(ANN)
        job = ann.start(["sh", "-c", f"head -c {INLINE} /dev/zero | tr '\\0' '\\1'; exec sleep 1000"])["id"]
        procs.eventually(lambda: ann.status(job)["stdout"]["bytes"] == INLINE, "it prints")
        return self, self.client(), ann, self.client_of(BOB), job


def works(client):
    assert text(client.run(["echo", "on"])) == "on\n"


def refused(answer):
    error = answer.get("error", {"code": None, "data": {}})
    return error["code"] == LIMIT_REACHED and error["data"]["limit"] == "owner_queued_bytes"


def printed(answer):
    return len(text(answer["result"]["jobs"][0]))


def test_members_of_one_batch():
    with Shares() as (_daemon, _root, ann, bob, job):
        answers = ann.batch([("job.wait", {"id": job, "limit": 0, "inline_bytes": INLINE})] * MEMBERS)
        first, *others = answers.values()
        assert printed(first) == INLINE
        assert all(map(refused, others)), [answer.keys() for answer in others]
        assert all(answer["error"]["data"]["id"] == job for answer in others)  # it is there, and can be asked for
        works(ann)
        works(bob)


def test_runs_of_one_batch():
    with Shares() as (_daemon, _root, ann, bob, _job):
        argv = ["sh", "-c", f"head -c {INLINE} /dev/zero | tr '\\0' '\\1'"]
        answers = ann.batch([("job.run", {"argv": argv, "inline_bytes": INLINE})] * 3)
        told = [answer["error"]["data"]["id"] for answer in answers.values() if "error" in answer]
        assert len(told) == 2 and all(map(refused, (answer for answer in answers.values() if "error" in answer)))
        assert all(ann.status(id_)["result"]["exit_code"] == 0 for id_ in told)
        works(bob)


def test_batches_that_wait_on_many_connections():
    with Shares() as (daemon, root, ann, bob, job):
        status = ("job.status", {"id": job, "inline_bytes": INLINE})
        other = daemon.client_of(ANN)
        other.send([other.compose(*call) for call in [("job.wait", {"id": job}), status]])
        assert other.call("daemon.info")["name"] == "supd"  # the batch has been taken in
        assert all(map(refused, ann.batch([status, ("daemon.info", {})]).values()))
        assert ann.status(job)["state"] == "running"  # alone it is small
        works(bob)
        root.call("job.kill", id=job, grace=0)
        while not other.batches:
            other.pump()
        assert sorted(map(refused, other.batches[0])) == [False, True]
        assert len(ann.batch([status])) == 1
        works(ann)


def test_waits_on_many_connections():
    with Shares() as (daemon, root, ann, bob, job):
        waiting = [daemon.client_of(ANN) for _ in range(SOME)]
        requests = [client.request("job.wait", id=job, inline_bytes=INLINE) for client in waiting]
        for client in waiting:
            client.call("daemon.info")  # it has been taken in
        over = root.request("job.wait", id=job)
        root.call("job.kill", id=job, grace=0)
        root.result(over)
        root.call("daemon.info")  # what was to be sent then has been
        assert len(select.select([client.socket for client in waiting], [], [], 0)[0]) == 1
        works(bob)
        with concurrent.futures.ThreadPoolExecutor(SOME) as readers:  # one that is read waits for one that is not
            results = list(readers.map(lambda pair: pair[0].result(pair[1]), zip(waiting, requests)))
        assert all(len(text(result["jobs"][0])) == INLINE for result in results)
        works(ann)
