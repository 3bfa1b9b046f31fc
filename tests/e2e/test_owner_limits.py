"""What one user may use of the machine's daemon: at each limit they are told which, and nobody else notices."""

import concurrent.futures
import contextlib
import json
import os

import procs
from harness import (ANN, BOB, INVALID_PARAMS, LIMIT_REACHED, NOT_FOUND, SystemDaemon, assert_refused, child,
                     is_sanitized, text)

SETS = "any"


class Shares(SystemDaemon):
    """The machine's daemon with small shares, and clients of root and of two users."""

    def __init__(self, **settings):
        super().__init__([word for name, value in settings.items() for word in ("--set", f"{name}={value}")])

    def __enter__(self):
        super().__enter__()
        return self, self.client(), self.client_of(ANN), self.client_of(BOB)


def refused_by(client, limit, method="job.start", **params):
    error = client.refused(method, **params)
    assert error.code == LIMIT_REACHED and error.data["limit"] == limit, (error, error.data)


def works(client):
    assert text(client.run(["echo", "on"])) == "on\n"


def test_live_jobs():
    with Shares(owner_live_jobs=3) as (daemon, root, ann, bob):
        jobs = [ann.start(child("sleep", 1000)) for _ in range(3)]
        refused_by(ann, "owner_live_jobs", argv=["true"])
        works(bob)
        for _ in range(5):
            root.start(child("sleep", 1000))
        daemon.kill_worker()
        refused_by(ann, "owner_live_jobs", argv=["true"])  # it counts what lived through it
        works(bob)
        ann.kill_and_wait(jobs[0])
        works(ann)


def test_live_jobs_by_any_number_of_connections():
    with Shares(owner_live_jobs=3) as (daemon, _root, ann, bob):
        others = [daemon.client_of(ANN) for _ in range(4)]
        for other in others[:3]:
            other.start(child("sleep", 1000))
        refused_by(others[3], "owner_live_jobs", argv=["true"])
        refused_by(ann, "owner_live_jobs", "job.run", argv=["true"])
        works(bob)


def test_connections():
    with Shares(owner_clients=3) as (daemon, _root, ann, bob):
        others = [daemon.client_of(ANN) for _ in range(2)]
        late = daemon.client_of(ANN)
        told = late.recv()
        assert told["error"]["code"] == LIMIT_REACHED and told["error"]["data"]["limit"] == "owner_clients", told
        late.expect_closed()
        assert [other.call("daemon.info")["name"] for other in others + [daemon.client_of(BOB)]] == ["supd"] * 3
        works(bob)
        others[0].close()
        procs.eventually(lambda: ann.call("daemon.stats")["clients"]["connected"] == 2, "one has left")
        works(daemon.client_of(ANN))


def test_requests_that_wait():
    with Shares(owner_calls=5) as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))
        other = daemon.client_of(ANN)
        waiting = [(client, client.request("job.wait", id=job["id"])) for client in (ann, other, ann, other, ann)]
        for client in (ann, other):  # what was sent before has been taken in
            error = client.refused("job.status", id=1 << 50)
            assert error.code == LIMIT_REACHED or client is ann, error
        refused_by(other, "owner_calls", "job.wait", id=job["id"])
        works(bob)
        root.call("job.kill", id=job["id"], grace=0)
        for client, request in waiting:
            assert client.result(request)["done"]
        works(ann)


def test_jobs_that_are_waited_for():
    with Shares(owner_calls=50) as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))["id"]
        other = daemon.client_of(ANN)
        waiting = ann.request("job.wait", ids=[job] * 30)
        ann.call("job.status", id=job)  # it has been taken in
        refused_by(other, "owner_calls", "job.wait", ids=[job] * 30)
        assert other.call("job.wait", ids=[job] * 10, limit=0)["done"] is False
        works(bob)
        root.call("job.kill", id=job, grace=0)
        assert len(ann.result(waiting)["jobs"]) == 30
        assert other.call("job.wait", ids=[job] * 30)["done"]


def test_records_of_one_answer():
    """A record may be as large as a request, and one job may be named many times."""
    with Shares() as (daemon, root, ann, bob):
        for _ in range(20):
            large = ann.run(["true"] + ["x" * 100_000] * 10)["id"]
        for method, more in (("job.wait", {}), ("job.kill", {"grace": 0})):
            assert_refused(ann.refused(method, ids=[large] * 10_000, **more), INVALID_PARAMS, "ids")
            assert len(ann.call(method, ids=[large] * 10, **more)["jobs"]) == 10
        pages, before = [], None
        while before or not pages:
            page = ann.call("job.list", limit=1000, before=before)
            pages.append([job["id"] for job in page["jobs"]])
            before = page["next"]
        assert sum(pages, []) == list(range(large, large - 20, -1)) and len(pages) == 2, pages
        ids = list(range(large - 19, large + 1))
        for method in ("job.wait", "job.kill", "job.forget"):  # the last one is not looked for any more
            assert_refused(ann.refused(method, ids=ids + [1 << 40]), INVALID_PARAMS, "ids")
        assert ann.call("job.forget", ids=ids[:10])["forgotten"] == 10
        assert ann.call("job.forget", ids=ids[10:])["forgotten"] == 10
        works(bob)


def test_records_of_many_strings():
    """An empty string is more in memory than it is as JSON."""
    def unchecked(method, **params):  # which would take a second a job
        ann.request(method, **params)
        return json.loads(ann.read_line())["result"]
    with Shares() as (daemon, root, ann, bob):
        ids = [unchecked("job.run", argv=["true"] + [""] * 99_000)["job"]["id"] for _ in range(7)]
        page = unchecked("job.list", limit=1000)
        assert len(page["jobs"]) == 3 and page["next"] == ids[-3], [job["id"] for job in page["jobs"]]
        for method in ("job.wait", "job.kill", "job.forget"):
            assert_refused(ann.refused(method, ids=ids), INVALID_PARAMS, "ids")
        assert ann.call("job.forget", ids=ids[:3])["forgotten"] == 3
        works(bob)


def test_jobs_of_the_history_that_are_looked_at():
    """They are in memory as long as a wait for others beside them lasts, and on their user's account."""
    with Shares(owner_queued_bytes=4 << 20) as (daemon, root, ann, bob):
        ids = [ann.run(["true"] + ["x" * 100_000] * 9)["id"] for _ in range(8)]
        procs.eventually(lambda: root.call("daemon.stats")["history"]["safe"], "the history has them")
        daemon.kill_worker()  # memory has none of them
        live = ann.start(child("sleep", 1000))["id"]
        for method in ("job.wait", "job.kill", "job.forget"):
            refused_by(ann, "owner_queued_bytes", method, ids=ids)
        assert len(root.call("job.wait", ids=ids)["jobs"]) == 8
        waits = [ann.request("job.wait", ids=[live, *ids[n:n + 2]]) for n in (0, 0, 2)]
        ann.call("job.status", id=live)  # they have been taken in
        refused_by(ann, "owner_queued_bytes", "job.wait", ids=[live, *ids[4:6]])
        works(bob)
        root.call("job.kill", id=live, grace=0)
        for wait in waits:
            assert len(ann.result(wait)["jobs"]) == 3
        assert len(ann.call("job.wait", ids=ids[4:6])["jobs"]) == 2
        assert ann.call("job.forget", ids=ids[:3])["forgotten"] == 3


def test_records_that_grow_while_they_are_waited_for():
    with Shares() as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))["id"]
        many, few = ann.request("job.wait", ids=[job] * 1000), ann.request("job.wait", ids=[job] * 100)
        ann.call("job.update", id=job, labels={f"n{n}": "x" * 1000 for n in range(64)})
        root.call("job.kill", id=job, grace=0)
        error = ann.answer(many)["error"]
        assert error["code"] == INVALID_PARAMS and error["data"]["field"] == "ids", error
        assert len(ann.result(few)["jobs"]) == 100
        works(bob)


def test_records_of_a_snapshot():
    """A control character is six bytes as JSON."""
    with Shares() as (daemon, root, ann, bob):
        argv = ["sh", "-c", "exec sleep 1000"] + ["\x01" * 100_000] * 5
        jobs = [ann.start(argv)["id"] for _ in range(6)]
        for client in ann, root:
            error = client.answer(client.request("event.subscribe", snapshot=True)).get("error", {})
            assert error.get("data", {}).get("limit") == "snapshot_bytes" and "job.list" in error["message"], error
        assert bob.call("event.subscribe", snapshot=True)["jobs"] == []
        some = ann.call("event.subscribe", snapshot=True, jobs=jobs[:3])
        assert [job["id"] for job in some["jobs"]] == jobs[2::-1] and some["subscription"] == 1, some["subscription"]
        page = ann.call("job.list")
        assert [job["id"] for job in page["jobs"]] == jobs[:0:-1] and page["next"] == jobs[1]
        root.call("job.kill", ids=jobs[:3], grace=0)
        root.call("job.kill", ids=jobs[3:], grace=0)
        works(bob)


def test_subscriptions():
    with Shares(owner_calls=20) as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))
        refused_by(ann, "owner_calls", "event.subscribe", jobs=[job["id"]] * 20)
        first = ann.call("event.subscribe", jobs=[job["id"]] * 4)["subscription"]
        for _ in range(7):
            ann.call("event.subscribe", types=["job.ready"])
            ann.call("job.output", id=job["id"], follow=True)
        for client in ann, daemon.client_of(ANN):
            refused_by(client, "owner_calls", "event.subscribe")
            refused_by(client, "owner_calls", "job.output", id=job["id"], follow=True)
            refused_by(client, "owner_calls", "job.run", argv=["true"], follow=True)
        works(bob)
        daemon.kill_worker()
        refused_by(ann, "owner_calls", "event.subscribe")
        ann.call("event.unsubscribe", subscription=first)
        assert ann.call("event.subscribe")["subscription"]
        root.call("job.kill", id=job["id"], grace=0)


def test_one_job_of_the_history_is_one_however_often_it_is_asked_for():
    with Shares() as (_daemon, root, ann, bob):
        large = ann.run(["true"] + ["x" * 100_000] * 10)["id"]
        ids = [ann.start(["true"])["id"] for _ in range(100)]
        ann.call("job.wait", ids=ids)
        procs.eventually(lambda: root.call("daemon.stats")["history"]["safe"], "memory has let it go")
        live = ann.start(child("sleep", 1000))
        before = root.call("daemon.stats")["memory"]["private_bytes"]
        for _ in range(3):
            ann.request("job.wait", ids=[large] * 300 + [live["id"]])
        ann.call("job.status", id=live["id"])  # they have been taken in
        works(bob)
        assert root.call("daemon.stats")["memory"]["private_bytes"] - before < 100 << 20
        ann.call("job.forget", ids=[large])
        assert ann.refused("job.status", id=large).code == NOT_FOUND
        ann.close()  # three answers of 300 MB each are not wanted
        root.call("job.kill", id=live["id"], grace=0)


def test_bytes_that_wait():
    with Shares(owner_queued_bytes=1 << 20) as (_daemon, _root, ann, bob):
        jobs = [ann.start(child("sleep", 1000), stdin="stream") for _ in range(2)]
        piece, taken, requests = "x" * 50_000, 0, []
        while taken < 3 << 20:
            requests.append(ann.request("job.input", id=jobs[len(requests) % 2]["id"], data=piece))
            taken += len(piece)
        ann.kill_and_wait(jobs[0])
        ann.kill_and_wait(jobs[1])
        answers = [ann.answer(request) for request in requests]
        told = [answer["error"] for answer in answers if "error" in answer]
        limits = [error["data"]["limit"] for error in told if error["code"] == LIMIT_REACHED]
        assert limits and set(limits) == {"owner_queued_bytes"}, told
        own = bob.start(["wc", "-c"], stdin="stream")
        assert bob.call("job.input", id=own["id"], data="x" * 900_000, eof=True)["accepted_bytes"] == 900_000
        assert text(bob.wait(own, inline_bytes=100)) == "900000\n"
        works(ann)


def test_labels_of_live_jobs():
    """job.update is refused where job.start with as much would be, and what is kept of the job stays."""
    with Shares(owner_queued_bytes=1 << 20) as (daemon, root, ann, bob):
        jobs = [ann.start(child("sleep", 1000), labels={"old": "1"})["id"] for _ in range(30)]
        large = {f"n{n}": "x" * 1000 for n in range(64)}
        answers = [ann.answer(ann.request("job.update", id=job, labels=large)) for job in jobs]
        told = [answer["error"]["data"]["limit"] for answer in answers if "error" in answer]
        assert set(told) == {"owner_queued_bytes"} and 10 <= len(told) < 20, told
        daemon.kill_worker()
        refused_by(ann, "owner_queued_bytes", "job.update", id=jobs[-1], labels=large)
        assert ann.call("job.status", id=jobs[-1])["job"]["labels"] == {"old": "1"}
        assert bob.call("job.update", id=bob.start(child("sleep", 1000))["id"], labels=large)["job"]["labels"] == large
        assert ann.call("job.update", id=jobs[0], labels={})["job"]["labels"] == {}
        assert ann.call("job.update", id=jobs[-1], labels=large)["job"]["labels"] == large
        root.call("job.kill", ids=jobs, grace=0)
        ann.call("job.wait", ids=jobs)
        again = ann.start(child("sleep", 1000))["id"]
        assert ann.call("job.update", id=again, labels=large)["job"]["labels"] == large


def test_answers_that_wait_on_other_connections():
    with Shares(owner_queued_bytes=1 << 20) as (daemon, root, ann, bob):
        for _ in range(8):
            job = ann.run(["true"] + ["x" * 100_000] * 5)
        other = daemon.client_of(ANN)
        request = other.request("job.list")  # 4 MB, which are not read

        def told():
            answer = ann.answer(ann.request("job.status", id=job["id"]))
            return answer.get("error", {}).get("data", {}).get("limit") == "owner_queued_bytes"
        procs.eventually(told, "it is refused")
        works(bob)
        assert len(other.result(request)["jobs"]) == 8
        procs.eventually(lambda: not told(), "it is read")
        works(ann)


def test_captured_bytes():
    with Shares(owner_output_bytes=1 << 20) as (_daemon, _root, ann, bob):
        budget = {"head_bytes": 4 << 20, "tail_bytes": 0}
        job = ann.start(["sh", "-c", "head -c 3000000 /dev/zero; exec sleep 1000"], output=budget)
        procs.eventually(lambda: ann.status(job)["stdout"]["bytes"] == 3_000_000, "it is read to its end")
        gaps = ann.status(job)["stdout"]["gaps"]
        assert gaps and gaps[0][0] <= 1 << 20, gaps
        whole = bob.run(["sh", "-c", "head -c 900000 /dev/zero"], output=budget)
        assert whole["stdout"]["bytes"] == 900_000 and whole["stdout"]["gaps"] == [], whole["stdout"]["gaps"]
        ann.kill_and_wait(job)


def test_descriptors():
    with Shares(owner_descriptors=20) as (_daemon, root, ann, bob):
        jobs = []
        while True:
            assert len(jobs) < 20, "never refused"
            answer = ann.answer(ann.request("job.start", argv=child("sleep", 1000)))
            if "error" in answer:
                break
            jobs.append(answer["result"]["job"])
        assert answer["error"]["data"]["limit"] == "owner_descriptors" and len(jobs) >= 3, (answer, len(jobs))
        final = ann.run(["true"], stdin="null", stdout="null", stderr="null")  # of one descriptor
        while "result" in (more := ann.answer(ann.request("job.start", argv=child("sleep", 1000), stdout="null", stderr="null"))):
            jobs.append(more["result"]["job"])
        given = ann.request("job.output", id=final["id"], fd=True)
        passed = ann.request_with([0], "job.start", argv=["true"], stdin="fd")
        for request in (given, passed):
            answer = ann.answer(request)
            assert answer["error"]["data"]["limit"] == "owner_descriptors", answer
        works(bob)
        for _ in range(20):
            root.start(child("sleep", 1000))
        ann.kill_and_wait(jobs[0])
        works(ann)


def test_launches_that_wait():
    with Shares(owner_queued_jobs=3) as (daemon, root, ann, bob):
        fifo = os.path.join(daemon.directory, "fifo")  # whoever opens it waits for a reader, before the exec
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        requests = [ann.request("job.start", argv=["true"], stdout={"file": fifo}) for _ in range(40)]
        works(bob)
        jobs = [job["id"] for job in root.call("job.list", states=["starting"])["jobs"]]
        assert 3 <= len(jobs) < 40, jobs
        root.call("job.kill", ids=jobs, grace=0)
        answers = [ann.answer(request) for request in requests]
        limits = [answer["error"]["data"]["limit"] for answer in answers if "error" in answer]
        assert limits == ["owner_queued_jobs"] * (40 - len(jobs)), limits
        works(ann)


def test_a_limit_that_is_read_again_counts_at_once():
    with SystemDaemon() as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        job = ann.start(child("sleep", 1000))
        for limit in (1, 2):
            with open(daemon.config, "w", encoding="utf-8") as file:
                json.dump({"owner_live_jobs": limit}, file)
            root.call("daemon.reload")
            if limit == 1:
                refused_by(ann, "owner_live_jobs", argv=["true"])
        works(ann)
        ann.kill_and_wait(job)


def test_ids_of_requests_that_wait():
    """An id may be as long as a line, and is kept as long as its request waits."""
    with Shares(owner_queued_bytes=1 << 20) as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))["id"]
        before = root.call("daemon.stats")["memory"]["private_bytes"]

        def ask():
            client = daemon.client_of(ANN)
            try:
                client.send_raw(b'{"jsonrpc": "2.0", "id": "%s", "method": "job.wait", "params": {"id": %d}}\n'
                                % (b"x" * 400_000, job))
            except BrokenPipeError:
                pass  # it is told, and closed, before all of it has come
            return client

        waiting = [ask() for _ in range(2)]
        procs.eventually(lambda: ann.call("daemon.stats")["clients"]["requests"] > 4, "they are taken in")
        for _ in range(30):
            told = json.loads(ask().read_line())
            assert told["error"]["data"].get("limit") == "owner_queued_bytes", str(told)[-300:]
        works(bob)
        grown = root.call("daemon.stats")["memory"]["private_bytes"] - before
        assert is_sanitized() or grown < 20 << 20, grown  # the sanitizer gives nothing back at once
        daemon.kill_worker()
        assert json.loads(ask().read_line())["error"]["data"]["limit"] == "owner_queued_bytes"
        root.call("job.kill", id=job, grace=0)
        assert [json.loads(client.read_line())["result"]["done"] for client in waiting] == [True, True]
        works(ann)


def test_ids_of_control_characters():
    """They count as what is kept of them, of which each is six bytes."""
    with Shares(owner_queued_bytes=1 << 20) as (daemon, root, ann, bob):
        job = ann.start(child("sleep", 1000))["id"]
        ask = '{"jsonrpc": "2.0", "id": "%s", "method": "%s", "params": {"id": %d, "follow": true}}\n'
        wait = ask.replace(', "follow": true', "") % ("\\u0001" * 100_000, "job.wait", job)
        follow = ask % ("\\u0001" * 100_000, "job.output", job)
        for first in wait, follow:
            with daemon.client_of(ANN) as other:
                other.send_raw(first.encode())
                if first == follow:
                    assert json.loads(other.read_line())["result"]["subscription"] == 1
                with contextlib.suppress(BrokenPipeError):  # it is told, and closed, before all of it has come
                    other.send_raw(wait.encode())
                told = json.loads(other.read_line())
                assert told["error"]["data"].get("limit") == "owner_queued_bytes", str(told)[-300:]
                works(bob)
            procs.eventually(lambda: root.call("daemon.stats")["clients"]["connected"] == 3, "it has left")
        works(ann)


def test_answers_that_a_batch_gathers():
    """They are kept until its last member is done."""
    with Shares(owner_queued_bytes=1 << 20) as (_daemon, root, ann, bob):
        live = ann.start(child("sleep", 1000))["id"]
        job = ann.run(["head", "-c", "400000", "/dev/zero"])["id"]
        before = root.call("daemon.stats")["memory"]["private_bytes"]
        calls = [{"jsonrpc": "2.0", "id": number, "method": "job.status", "params": {"id": job, "inline_bytes": 1 << 22}}
                 for number in range(100)]
        wait = {"jsonrpc": "2.0", "id": 100, "method": "job.wait", "params": {"id": live}}
        ann.send_raw(json.dumps([wait] + calls).encode() + b"\n")
        works(bob)
        assert root.call("daemon.stats")["memory"]["private_bytes"] - before < 20 << 20
        root.call("job.kill", id=live, grace=0)
        limits = [answer.get("error", {}).get("data", {}).get("limit") for answer in json.loads(ann.read_line())]
        assert limits.count(None) in (2, 3) and limits.count("owner_queued_bytes") in (98, 99), limits
        works(ann)


def test_events_that_nobody_reads():
    """An event has all of its job. Those that would be too much wait, and are told when others are read, or end."""
    with Shares(owner_queued_bytes=4 << 20) as (daemon, root, ann, bob):
        watching = [daemon.client_of(ANN) for _ in range(24)]
        for client in watching:
            client.call("event.subscribe")
        root.call("event.subscribe", types=["job.final", "job.forgotten"])
        job = ann.start(["true"] + ["x" * 100_000] * 10)
        while root.notification("event")["type"] != "job.final":
            pass
        works(bob)
        root.call("job.forget", ids=[job["id"]])
        for client in watching[:4]:
            client.close()

        def told(client):
            whole, event = 0, client.notification("event")
            while event["type"] != "job.forgotten" or event["id"] != job["id"]:
                whole += event["id"] == job["id"] and event["job"] is not None
                event = client.notification("event")
            return whole

        with concurrent.futures.ThreadPoolExecutor(20) as readers:  # one that is read waits for those that are not
            whole = sum(readers.map(told, watching[4:]))
        assert whole <= 8, whole  # some 800 kB each are left when a socket has taken what it can
        works(ann)


def test_waits_until_a_text():
    with Shares() as (daemon, root, ann, bob):
        job = ann.start(["sh", "-c", "read x; echo $x; exec sleep 1000"], stdin="stream")
        other = daemon.client_of(ANN)
        until = {"text": "here"}
        waits = [(client, client.request("job.wait", id=job["id"], until=until)) for client in [ann, other] * 32]
        limits = root.call("daemon.info")["limits"]
        assert limits["owner_until_waits"] == len(waits), limits
        works(ann)
        works(other)  # those before it were taken in
        refused_by(ann, "owner_until_waits", "job.wait", id=job["id"], until=until)
        daemon.kill_worker()
        refused_by(other, "owner_until_waits", "job.wait", id=job["id"], until=until)
        for _ in range(70):
            root.request("job.wait", id=job["id"], until=until)
        own = bob.start(["sh", "-c", "echo here; exec sleep 1000"])
        assert bob.call("job.wait", id=own["id"], until=until)["matched"]
        ann.call("job.input", id=job["id"], data="here\n")
        assert all(client.result(request)["matched"] for client, request in waits)
        assert ann.call("job.wait", id=job["id"], until=until)["matched"]
