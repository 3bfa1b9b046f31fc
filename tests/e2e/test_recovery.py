"""The worker dies; another goes on where it stopped."""

import os
import signal
import time

import procs
from chaos import shake
from client import CONFLICT, Closed, RpcError, data_of
from harness import (GUARD, Daemon, Skip, assert_reason, assert_refused, child, daemon_test, is_sanitized, needs_tree,
                     text)
from recovery import gate, open_gate


@daemon_test
def test_a_job_runs_on(daemon, client):
    path = gate(daemon)
    job = client.start(["sh", "-c", f"echo before; read x <{path}; echo after; exit 7"])
    procs.eventually(lambda: client.call("job.status", id=job["id"])["job"]["stdout"]["bytes"] == 7, "it prints")
    daemon.kill_worker()
    now = client.call("job.status", id=job["id"])["job"]
    assert now["state"] == "running" and now["pid"] == job["pid"] and now["started_at"] == job["started_at"], now
    open_gate(path)
    over = client.call("job.wait", id=job["id"], inline_bytes=1000)["jobs"][0]
    assert_reason(over, "exited", exit_code=7)
    assert text(over) == "before\nafter\n"
    assert over["result"]["usage"]["source"] in ("wait4", "cgroup") and over["result"]["survivors"] == []


@daemon_test
def test_whoever_waits_has_his_answer(daemon, client):
    path = gate(daemon)
    run = client.request("job.run", argv=["sh", "-c", f"echo hello; read x <{path}; exit 3"])
    waiter, limited = daemon.client(), daemon.client()
    procs.eventually(lambda: daemon.client().call("job.list", states=["running"])["jobs"], "it runs")
    wait = waiter.request("job.wait", ids=[1], inline_bytes=100)
    until = waiter.request("job.wait", id=1, until={"text": "done"})
    short = limited.request("job.wait", id=1, limit=1.0)
    daemon.client().call("daemon.info")
    daemon.kill_worker()
    assert limited.result(short)["done"] is False
    open_gate(path)
    job = client.result(run)["job"]
    assert_reason(job, "exited", exit_code=3)
    assert text(job) == "hello\n"
    assert text(waiter.result(wait)["jobs"][0]) == "hello\n"
    assert waiter.result(until)["matched"] is False


@daemon_test
def test_deadlines_count_on(daemon, client):
    started = time.time()
    job = client.start(child("sleep", 1000), timeout=2.0, grace=0)
    daemon.kill_worker()
    left = client.call("job.status", id=job["id"])["job"]["deadlines"]["timeout"]
    assert left <= 2.0 - (time.time() - started) + 0.2, left
    assert_reason(client.wait(job), "timeout", timed_out=True)


@daemon_test
def test_kill_reaches_the_whole_tree(daemon, client):
    needs_tree()
    token = f"token-{daemon.pid}"
    job = client.start(child("bomb", 5, token))
    procs.eventually(lambda: len(procs.with_argument(token)) == 6, "all are there")
    daemon.kill_worker()
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")
    assert procs.with_argument(token) == []


@daemon_test
def test_a_lease_holds(daemon, client):
    job = client.start(child("sleep", 1000), lease=True)
    other = daemon.client()
    other.call("daemon.info")
    daemon.kill_worker()
    client.call("daemon.info")
    client.close()
    assert_reason(other.wait(job), "killed", killed_by={"by": "lease", "uid": os.getuid()})


@daemon_test
def test_a_follower_misses_nothing(daemon, client):
    paths = gate(daemon, "first"), gate(daemon, "second")
    job = client.start(["sh", "-c", f"echo one; read x <{paths[0]}; echo two; read x <{paths[1]}; echo three"])
    follower = daemon.client()
    first = follower.call("job.output", id=job["id"], follow=True)
    seen = bytearray(b"".join(data_of(chunk) for chunk in first["chunks"]))

    def until(size):
        while len(seen) < size:
            follower.pump()
            while follower.notifications:
                for chunk in follower.notifications.popleft()["params"]["chunks"]:
                    assert chunk["offset"] == len(seen), chunk
                    seen.extend(data_of(chunk))
    for path, size in zip(paths, (4, 8)):
        until(size)
        daemon.kill_worker()
        open_gate(path)
    until(14)
    assert seen == b"one\ntwo\nthree\n"
    client.wait(job)


@daemon_test
def test_run_with_follow_is_lossless_over_a_death(daemon, client):
    request = client.request("job.run", argv=["seq", "1", "200000"], follow=True, output={"head_bytes": 0,
                                                                                         "tail_bytes": 65536})
    seen = bytearray()

    def take():
        while client.notifications:
            note = client.notifications.popleft()
            for chunk in note["params"].get("chunks", []):
                assert chunk["offset"] == len(seen), (chunk["offset"], len(seen))
                seen.extend(data_of(chunk))
    while len(seen) < 100000:
        client.pump()
        take()
    daemon.kill_worker()
    try:
        while request not in client.answers:
            client.pump()
            take()
        assert client.result(request)["job"]["result"]["exit_code"] == 0
        assert bytes(seen) == b"".join(b"%d\n" % i for i in range(1, 200001))
    except Closed:  # a message was half way: then the job runs on, without its lease
        job = daemon.client().call("job.wait", id=1)["jobs"][0]
        assert_reason(job, "exited", exit_code=0)


@daemon_test
def test_supctl_run_shows_everything(daemon, client):
    paths = gate(daemon, "one"), gate(daemon, "two")
    shown = os.path.join(daemon.directory, "shown")
    with open(shown, "wb") as out:
        process = daemon.supctl_start(
            "run", "--", "sh", "-c",
            f"seq 1 100000; read x <{paths[0]}; seq 100001 200000; read x <{paths[1]}; exit 5", stdout=out)
    for path, size in zip(paths, (588895, 1288895)):
        procs.eventually(lambda: client.call("job.status", id=1)["job"]["stdout"]["bytes"] == size
                         if client.call("job.list")["jobs"] else False, "it prints")
        daemon.kill_worker()
        open_gate(path)
    err = process.communicate(timeout=GUARD)[1]
    assert process.returncode == 5, (process.returncode, err)
    with open(shown, "rb") as out:
        assert out.read() == b"".join(b"%d\n" % i for i in range(1, 200001)), err


@daemon_test
def test_events_go_on(daemon, client):
    other = daemon.client()
    seq = other.call("event.subscribe")["seq"]
    path = gate(daemon)
    job = client.start(["sh", "-c", f"read x <{path}"])
    daemon.kill_worker()
    open_gate(path)
    client.wait(job)
    seen = []
    while "job.final" not in [e["type"] for e in seen]:
        if not other.notifications:
            other.pump()
            continue
        seen.append(other.notifications.popleft()["params"])
    assert [e["seq"] for e in seen] == list(range(seq + 1, seq + 1 + len(seen))), seen
    assert [e["type"] for e in seen] == ["job.started", "job.final"], seen


@daemon_test
def test_input_and_terminals_go_on(daemon, client):
    cat = client.start(["cat"], stdin="stream")
    client.call("job.input", id=cat["id"], data="one\n")
    shell = client.start(["sh"], pty={"rows": 10, "cols": 40})
    daemon.kill_worker()
    client.call("job.input", id=cat["id"], data="two\n", eof=True)
    assert text(client.call("job.wait", id=cat["id"], inline_bytes=100)["jobs"][0]) == "one\ntwo\n"
    client.call("job.resize", id=shell["id"], rows=33, cols=44)
    client.call("job.input", id=shell["id"], data="stty size; exit 4\n")
    over = client.call("job.wait", id=shell["id"], inline_bytes=4000)["jobs"][0]
    assert_reason(over, "exited", exit_code=4)
    assert b"33 44" in data_of(over["stdout"]), over["stdout"]


@daemon_test
def test_names_labels_and_keys_are_known(daemon, client):
    job = client.call("job.start", argv=child("sleep", 1000), name="web", key="k", labels={"a": "1"},
                      env={"SECRET": "s3cret"})["job"]
    client.call("job.update", id=job["id"], labels={"b": "2"})
    daemon.kill_worker()
    again = client.call("job.start", argv=child("sleep", 1000), name="web", key="k", labels={"a": "1"},
                        env={"SECRET": "s3cret"})["job"]
    assert again["id"] == job["id"] and again["labels"] == {"b": "2"}, again
    assert_refused(client.refused("job.start", argv=["true"], key="k"), CONFLICT, "key")
    assert_refused(client.refused("job.start", argv=["true"], name="web"), CONFLICT, "name")
    assert client.start(["true"])["id"] == job["id"] + 1


@daemon_test
def test_a_launch_that_waits_is_made_by_the_next_worker(daemon, client):
    fifo = os.path.join(daemon.directory, "hang")
    os.mkfifo(fifo)
    hanging = [client.request("job.run", argv=["true"], stdout={"file": fifo}, grace=0) for _ in range(12)]
    other = daemon.client()
    queued = [other.request("job.run", argv=["sh", "-c", "cat; echo $WORD; exit 9"], env={"WORD": "env"},
                            stdin={"data": "in\n"}) for _ in range(3)]
    last = daemon.client()
    last.call("daemon.info")
    for request in queued:  # others' launches that hang do not delay them
        assert text(other.result(request)["job"]) == "in\nenv\n"
    daemon.kill_worker()
    for job in last.call("job.list", states=["starting", "running"])["jobs"]:
        last.call("job.kill", id=job["id"], grace=0)
    for request in hanging:
        job = client.result(request)["job"]
        assert job["result"]["reason"] in ("killed", "spawn_failed"), job["result"]


@daemon_test
def test_input_for_a_launch_that_the_next_worker_awaits(daemon, client):
    if client.call("daemon.info")["capabilities"]["tree"] == "reaper":
        raise Skip("a reaper begins behind its leader's exec: there the launch ends with its worker")
    path = gate(daemon)
    start = client.request("job.start", argv=["cat"], name="early", stdin="stream", stdout={"file": path})
    procs.eventually(lambda: any(map(procs.in_open, procs.descendants(daemon.pid))), "its launch hangs")
    daemon.kill_worker()
    pieces = [client.request("job.input", name="early", data=f"{n}\n", eof=n == 2) for n in range(3)]
    assert client.status({"id": 1})["state"] == "starting"
    with open(path, "rb") as out:
        assert out.read() == b"0\n1\n2\n"
    assert [client.result(request) for request in pieces] == [{"accepted_bytes": 2}] * 3
    assert_reason(client.wait(client.result(start)["job"]), "exited", exit_code=0)


@daemon_test
def test_short_jobs_of_a_death_have_one_result_each(daemon, client):
    for i in range(10):
        requests = [client.request("job.start", argv=["sh", "-c", f"exit {n}"], key=f"{i}-{n}") for n in range(20)]
        daemon.kill_worker()
        try:
            for request in requests:
                client.result(request)
        except (Closed, BrokenPipeError):
            client = daemon.client()
        for n in range(20):
            job = client.call("job.run", argv=["sh", "-c", f"exit {n}"], key=f"{i}-{n}")["job"]
            assert_reason(job, "exited", exit_code=n)
    jobs = client.call("job.list", limit=1000)["jobs"]
    assert len(jobs) == 200, len(jobs)


@daemon_test
def test_a_final_job_is_still_there(daemon, client):
    big = client.run(["seq", "1", "100000"])
    small = client.run(["echo", "small"])
    failed = client.run(["/nowhere/program"])
    daemon.kill_worker()
    assert text(client.call("job.status", id=small["id"], inline_bytes=100)["job"]) == "small\n"
    assert client.call("job.status", id=big["id"])["job"]["stdout"] == {k: big["stdout"][k]
                                                                      for k in ("bytes", "gaps", "eof")}
    assert_reason(client.call("job.status", id=failed["id"])["job"], "spawn_failed", error=failed["result"]["error"])


@daemon_test
def test_a_segmentation_fault_is_a_death_like_others(daemon, client):
    if is_sanitized():
        daemon.expect_clean = False
        raise Skip("a sanitizer reports it")
    job = client.start(child("sleep", 1000))
    daemon.kill_worker(signal.SIGSEGV)
    assert client.call("job.status", id=job["id"])["job"]["state"] == "running"


def test_recovery_with_no_descriptors_left():
    with Daemon(nofile=120) as daemon:
        client = daemon.client()
        ids = []
        while len(ids) < 100:
            try:
                ids.append(client.call("job.start", argv=child("sleep", 1000))["job"]["id"])
            except RpcError as error:
                assert error.data["limit"] == "descriptors", error
                break
        for _ in range(3):
            daemon.kill_worker()
            assert len(client.call("job.list", states=["running"], limit=1000)["jobs"]) == len(ids)
        client.call("job.kill", ids=ids, grace=0)
        for id_ in ids:
            assert_reason(client.call("job.wait", id=id_)["jobs"][0], "killed")
        assert client.run(["echo", "room"])["result"]["exit_code"] == 0


@daemon_test
def test_reload_takes_new_settings(daemon, client):
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write('{"max_live_jobs": 1, "output_bytes": 4711}')
    assert client.call("daemon.reload")["later"] == ["output_bytes"]
    later = "setting output_bytes counts from the next start, or supctl daemon reexec, on\n"
    assert daemon.errors().decode().endswith(later)
    assert daemon.supctl("daemon", "reload").stderr.decode() == f"supctl: daemon: {later}"
    assert client.call("daemon.info")["limits"]["max_live_jobs"] == 1
    client.start(child("sleep", 1000))
    assert client.refused("job.start", argv=["true"]).data["limit"] == "live_jobs"
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write('{"max_live_jobs": 0}')
    assert_refused(client.refused("daemon.reload"), CONFLICT)
    assert client.call("daemon.info")["limits"]["max_live_jobs"] == 1
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write('{"max_live_jobs": 5}')
    daemon.process.send_signal(signal.SIGHUP)
    procs.eventually(lambda: client.call("daemon.info")["limits"]["max_live_jobs"] == 5, "it reads them again")


def test_chaos_of_kills():
    with Daemon() as daemon:
        shake(daemon, signal.SIGKILL, 40, 12)


def test_chaos_of_reexecs():
    with Daemon() as daemon:
        shake(daemon, "reexec", 40, 12)
