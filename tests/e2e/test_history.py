"""What is known of jobs after the daemon that ran them."""

import glob
import os
import shutil
import signal
import subprocess

import procs
from client import NOT_FOUND, data_of
from harness import Daemon, assert_reason, assert_refused, child, daemon_test, every_set, text
from history import again, at_rest

SETS = "any"


@daemon_test
def test_final_jobs_outlive_the_daemon(daemon, client):
    small = client.call("job.run", argv=["sh", "-c", "echo out; echo err >&2; exit 3"], name="small", key="k",
                        labels={"a": "1"})["job"]
    big = client.run(["seq", "1", "100000"])
    cut = client.run(["seq", "1", "200000"], output={"head_bytes": 1000, "tail_bytes": 2000})
    failed = client.run(["/nowhere/program"])
    daemon.terminate()
    with again(daemon.directory) as second:
        known = second.client()
        whole = known.call("job.status", id=small["id"], inline_bytes=1000)["job"]
        assert {**whole, "durable": False} == {**small, "durable": False}, whole
        assert known.call("job.status", name="small")["job"]["id"] == small["id"]
        assert known.call("job.run", argv=["sh", "-c", "echo out; echo err >&2; exit 3"], name="small", key="k",
                          labels={"a": "1"})["job"]["id"] == small["id"]
        assert known.call("job.start", argv=["true"])["job"]["id"] == failed["id"] + 1
        chunks, at = [], 0
        while at < big["stdout"]["bytes"]:
            answer = known.call("job.output", id=big["id"], stream="stdout", offset=at, limit_bytes=1 << 20)
            chunks += answer["chunks"]
            at = answer["next"]["stdout"]
        assert b"".join(data_of(c) for c in chunks) == b"".join(b"%d\n" % i for i in range(1, 100001))
        tail = known.call("job.output", id=cut["id"])
        assert tail["gaps"] == [{"stream": "stdout", "start": 1000, "end": cut["stdout"]["bytes"] - 2000}]
        assert_reason(known.call("job.status", id=failed["id"])["job"], "spawn_failed")
        answer = known.call("job.output", id=cut["id"], fd=True, stream="stdout")
        assert [e[1] - e[0] for e in answer["extents"]] == [1000, 2000]


@daemon_test
def test_numbers_of_events_go_on(daemon, client):
    client.run(["true"])
    before = client.call("event.subscribe")["seq"]
    assert before > 0
    daemon.terminate()
    with again(daemon.directory, expect_clean=False) as second:
        known = second.client()
        now = known.call("event.subscribe")["seq"]
        assert before <= now <= before + 1, (before, now)  # daemon.stopping is one
        at_rest(known)
        second.destroy()
        with again(daemon.directory) as third:
            assert third.client().call("event.subscribe")["seq"] > now  # never one again, though some may be left out


@every_set
@daemon_test
def test_running_jobs_become_lost(daemon, client):
    job = client.start(child("sleep", 1000), name="gone")
    at_rest(client)
    daemon.expect_clean = False
    daemon.destroy()
    with again(daemon.directory) as second:
        known = second.client()
        lost = known.call("job.status", name="gone")["job"]
        assert lost["id"] == job["id"] and lost["started_at"] == job["started_at"]
        assert_reason(lost, "lost", exit_code=None, survivors=None)
        assert known.start(["true"])["id"] > job["id"]
        done = second.supctl("wait", str(job["id"]))
        assert done.returncode == 125, done


@daemon_test
def test_the_list_is_one(daemon, client):
    ids = [client.call("job.run", argv=["true"], labels={"parity": str(i % 2)}, name=f"n{i % 3}")["job"]["id"]
           for i in range(10)]
    daemon.terminate()
    with again(daemon.directory) as second:
        known = second.client()
        ids += [known.call("job.run", argv=["true"], labels={"parity": str(i % 2)})["job"]["id"] for i in range(10)]
        live = known.start(child("sleep", 1000))["id"]
        listed, before = [], None
        while True:
            page = known.call("job.list", limit=4, **({"before": before} if before else {}))
            listed += [job["id"] for job in page["jobs"]]
            before = page["next"]
            if before is None:
                break
        assert listed == [live] + ids[::-1], listed
        odd = known.call("job.list", labels={"parity": "1"})["jobs"]
        assert [job["id"] for job in odd] == [i for n, i in enumerate(ids) if n % 2][::-1]
        named = known.call("job.list", name="n1")["jobs"]
        assert [job["id"] for job in named] == [ids[7], ids[4], ids[1]]
        assert known.call("job.list", states=["running"])["jobs"][0]["id"] == live
        assert len(known.call("job.list", states=["final"], limit=1000)["jobs"]) == 20


def pages(client, between, **filters):
    """All that is listed, three at a time; `between` is called with each page."""
    before, listed = None, []
    while before is not None or not listed:
        page = client.call("job.list", limit=3, **filters, **({"before": before} if before else {}))
        assert len(page["jobs"]) == 3 or page["next"] is None, page
        listed += [job["id"] for job in page["jobs"]]
        before = page["next"]
        between(page["jobs"])
        if before is None:
            break
    return listed


@daemon_test
def test_a_page_looks_at_so_many_labels_and_no_more(daemon, client):
    """A list of many labels, each of which many jobs have, goes on where it had no more time."""
    common, count = {f"label-{i}": "of all" for i in range(62)}, 300
    requests = [client.request("job.run", argv=["true"], labels={**common, "rare": str(i < 2)}) for i in range(count)]
    rare = [client.result(request)["job"]["id"] for request in requests][:2]
    daemon.terminate()
    with again(daemon.directory) as second:
        known, found, calls, before = second.client(), [], 0, {}
        while True:
            page = known.call("job.list", labels={**common, "rare": "True"}, **before)
            found, calls = found + [job["id"] for job in page["jobs"]], calls + 1
            if page["next"] is None:
                break
            before = {"before": page["next"]}
        assert sorted(found) == sorted(rare) and calls > 2, (found, rare, calls)
        filters = [word for name, value in {**common, "rare": "True"}.items() for word in ("-l", f"{name}={value}")]
        assert len(second.supctl("status", "--json", *filters).stdout.splitlines()) == 2


@daemon_test
def test_pages_of_what_was_are_whole_while_jobs_are_forgotten(daemon, client):
    ids = [client.call("job.run", argv=["true"], labels={"all": "1", "third": str(i % 3), "parity": str(i % 2)},
                       name=f"n{i % 2}")["job"]["id"] for i in range(24)]
    daemon.terminate()
    with again(daemon.directory) as second:
        known = second.client()
        newest = ids[::-1]
        assert pages(known, lambda jobs: None) == newest
        assert pages(known, lambda jobs: None, labels={"third": "1"}) == [i for n, i in enumerate(ids) if n % 3 == 1][::-1]
        both = pages(known, lambda jobs: None, labels={"all": "1", "third": "2", "parity": "0"}, name="n0")
        assert both == [i for n, i in enumerate(ids) if n % 3 == 2 and n % 2 == 0][::-1], both
        assert pages(known, lambda jobs: None, name="n1", states=["final"]) == ids[1::2][::-1]
        assert pages(known, lambda jobs: None, labels={"third": "4"}) == []
        # The one that a cursor names, and the next, go between the pages.
        gone = set()

        def forget(jobs):
            drop = [i for i in (jobs[-1]["id"], jobs[-1]["id"] - 1) if i in ids and i not in gone] if jobs else []
            gone.update(drop)
            if drop:
                known.call("job.forget", ids=drop)
        seen = pages(known, forget, labels={"all": "1"})
        assert seen == sorted(set(seen), reverse=True) and set(ids) - set(seen) <= gone, (seen, gone)


@every_set
@daemon_test
def test_the_order_of_the_streams_is_known(daemon, client):
    words = "for i in 1 2 3; do echo out $i; read x; echo err $i >&2; read x; done"
    job = client.start(["sh", "-c", words], stdin="stream")
    for turn in range(6):  # each is read before the next is written
        stream, size = ("stderr", 6 * (turn // 2 + 1)) if turn % 2 else ("stdout", 6 * (turn // 2 + 1))
        procs.eventually(lambda: client.status(job)[stream]["bytes"] == size, "it was read")
        if turn == 2:
            daemon.kill_worker()
        client.call("job.input", id=job["id"], data="\n")
    client.wait(job)
    shown = [(c["stream"], data_of(c), c["at"]) for c in client.call("job.output", id=job["id"])["chunks"]]
    assert [s[:2] for s in shown] == [(stream, f"{word} {i}\n".encode()) for i in (1, 2, 3)
                                      for stream, word in (("stdout", "out"), ("stderr", "err"))], shown
    daemon.terminate()
    with again(daemon.directory) as second:
        chunks = second.client().call("job.output", id=job["id"])["chunks"]
        assert [(c["stream"], data_of(c), c["at"]) for c in chunks] == shown


@daemon_test
def test_forgetting_is_at_once_and_for_good(daemon, client):
    ids = [client.run(["echo", str(i)])["id"] for i in range(5)]
    daemon.terminate()
    with again(daemon.directory) as second:
        known = second.client()
        assert known.call("job.forget", ids=ids[:2])["forgotten"] == 2
        assert_refused(known.refused("job.status", id=ids[0]), NOT_FOUND)
        assert [job["id"] for job in known.call("job.list")["jobs"]] == ids[:1:-1]
        assert known.call("job.forget", final=True)["forgotten"] == 3
        assert known.call("job.list")["jobs"] == []
        second.terminate()
        with again(daemon.directory) as third:
            assert third.client().call("job.list")["jobs"] == []
            assert glob.glob(os.path.join(third.state, "output", "*")) == []


@daemon_test
def test_labels_of_what_is_over_change(daemon, client):
    job = client.run(["true"], labels={"a": "1"})
    daemon.terminate()
    with again(daemon.directory) as second:
        known = second.client()
        known.call("job.update", id=job["id"], labels={"b": "2"})
        second.terminate()
        with again(daemon.directory) as third:
            assert third.client().call("job.list", labels={"b": "2"})["jobs"][0]["id"] == job["id"]
            assert third.client().call("job.list", labels={"a": "1"})["jobs"] == []


def test_retention_by_count_bytes_and_age():
    with Daemon(["--set", "history_jobs=20"]) as daemon:
        client = daemon.client()
        events = daemon.client()
        for i in range(30):
            last = client.run(["true"])
        procs.eventually(lambda: client.call("daemon.stats")["history"]["jobs"] == 20, "the oldest go")
        procs.eventually(lambda: len(client.call("job.list", limit=100)["jobs"]) == 20, "also from memory")
        assert client.call("job.list")["jobs"][0]["id"] == last["id"]
        short = client.run(["true"], retain=0.2)
        procs.eventually(lambda: short["id"] not in [j["id"] for j in client.call("job.list")["jobs"]], "its time is over")
        events.close()
    with Daemon(["--set", "history_bytes=1000000"]) as daemon:
        client = daemon.client()
        for _ in range(8):
            client.run(["seq", "1", "60000"])
        procs.eventually(lambda: client.call("daemon.stats")["history"]["bytes"] <= 1000000, "the oldest go")


@daemon_test
def test_secrets_are_never_on_disk(daemon, client):
    client.call("job.run", argv=["true"], env={"TOKEN": "env-s3cret"}, stdin={"data": "stdin-s3cret"}, key="k")
    client.call("job.start", argv=child("sleep", 1000), env={"TOKEN": "env-s3cret"}, key="k2")
    at_rest(client)
    found = subprocess.run(["grep", "-rl", "s3cret", daemon.state], capture_output=True)
    assert found.stdout == b"", found.stdout
    for path in glob.glob(os.path.join(daemon.state, "**"), recursive=True):
        assert os.stat(path).st_mode & 0o077 == 0, path


def test_a_copy_made_at_any_moment_starts():
    """What a loss of power leaves: some prefix of what was written."""
    copies, done = [], []
    with Daemon() as daemon:
        client = daemon.client()
        for round_ in range(8):
            done += [client.run(["sh", "-c", f"exit {i}"])["id"] for i in range(12)]
            copies.append((f"{daemon.directory}-copy{round_}", list(done)))
            shutil.copytree(daemon.state, os.path.join(copies[-1][0], "state"))
    for copy, given in copies:
        try:
            with again(copy) as second:
                known = second.client()
                jobs = known.call("job.list", limit=1000)["jobs"]
                ids = [job["id"] for job in jobs]
                assert ids == sorted(set(ids), reverse=True) and set(ids) <= set(given), ids
                for job in jobs:
                    reason = job["result"]["reason"]
                    assert reason == "lost" or job["result"]["exit_code"] == given.index(job["id"]) % 12, job
                assert known.start(["true"])["id"] > max(given)
        finally:
            shutil.rmtree(copy, ignore_errors=True)


def test_without_a_store_everything_else_works():
    with Daemon(["--set", "store=none"]) as daemon:
        client = daemon.client()
        assert client.call("daemon.info")["capabilities"]["store"] == "memory"
        job = client.run(["echo", "here"])
        assert text(client.call("job.status", id=job["id"], inline_bytes=10)["job"]) == "here\n"
        assert job["durable"] is False
        live = client.start(["sh", "-c", "sleep 0.2; exit 6"])
        daemon.kill_worker()
        assert_reason(client.wait(live), "exited", exit_code=6)
        over = client.call("job.run", argv=["sh", "-c", "echo once; exit 7"], key="k")["job"]
        gone = client.run(["true"])
        client.call("job.forget", ids=[gone["id"]])
        daemon.kill_worker()  # what is over is known to the next worker, too
        again_ = client.call("job.run", argv=["sh", "-c", "echo once; exit 7"], key="k")["job"]
        assert again_["id"] == over["id"] and text(again_) == "once\n" and again_["result"] == over["result"], again_
        assert text(client.call("job.status", id=job["id"], inline_bytes=10)["job"]) == "here\n"
        assert_refused(client.refused("job.status", id=gone["id"]), NOT_FOUND)
        assert [j["id"] for j in client.call("job.list")["jobs"]] == [over["id"], live["id"], job["id"]]
        assert not os.path.exists(os.path.join(daemon.state, "history.db"))
        daemon.process.send_signal(signal.SIGTERM)
