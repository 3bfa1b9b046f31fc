"""Names, keys, labels, retention, forgetting."""

import time

import procs
from harness import CONFLICT, NOT_FOUND, Daemon, assert_reason, assert_refused, child, daemon_test, text

SETS = "any"


@daemon_test
def test_name_is_unique_among_live_jobs(daemon, client):
    job = client.start(child("sleep", 1000), name="web")
    assert_refused(client.refused("job.start", argv=["true"], name="web"), CONFLICT)
    assert_refused(client.refused("job.run", argv=["true"], name="web"), CONFLICT)
    client.kill_and_wait(job)
    assert_reason(client.run(["true"], name="web"), "exited")


@daemon_test
def test_refused_name_leaves_nothing_behind(daemon, client):
    client.start(child("sleep", 1000), name="web")
    client.refused("job.start", argv=["true"], name="web", key="k")
    assert len(client.call("job.list")["jobs"]) == 1
    assert_reason(client.run(["true"], key="k"), "exited")


@daemon_test
def test_name_finds_the_live_job_else_the_newest_final_one(daemon, client):
    client.run(child("exit", 1), name="web")
    second = client.run(child("exit", 2), name="web")
    assert client.call("job.status", name="web")["job"]["id"] == second["id"]
    live = client.start(child("sleep", 1000), name="web")
    assert client.call("job.status", name="web")["job"]["id"] == live["id"]
    client.kill_and_wait(live)
    assert client.call("job.status", name="web")["job"]["id"] == live["id"]
    client.call("job.forget", ids=[live["id"]])
    assert client.call("job.status", name="web")["job"]["id"] == second["id"]


@daemon_test
def test_names_that_are_none(daemon, client):
    for name in ("", "1st", "-x", "a b", "a/b", "é", "x" * 65, ".x", "a\n"):
        assert_refused(client.refused("job.start", argv=["true"], name=name), -32602, "name")
    for name in ("x" * 64, "_", "A.b@c-d_9"):
        assert client.run(["true"], name=name)["name"] == name


@daemon_test
def test_key_gives_the_live_job_back(daemon, client):
    job = client.start(child("sleep", 1000), key="k")
    assert client.start(child("sleep", 1000), key="k")["id"] == job["id"]
    request = client.request("job.run", argv=child("sleep", 1000), key="k", lease=False)
    client.kill(job, grace=0)
    assert_reason(client.result(request)["job"], "killed")


@daemon_test
def test_key_with_another_spec_is_a_conflict(daemon, client):
    client.run(["true"], key="k", env={"A": "1"})
    for other in ({"env": {"A": "2"}}, {}, {"env": {"A": "1"}, "timeout": 5}, {"env": {"A": "1"}, "cwd": "/"}):
        assert_refused(client.refused("job.run", argv=["true"], key="k", **other), CONFLICT)
    assert_refused(client.refused("job.run", argv=["false"], key="k", env={"A": "1"}), CONFLICT)
    assert len(client.call("job.list")["jobs"]) == 1


@daemon_test
def test_spec_is_compared_by_what_it_means(daemon, client):
    job = client.run(["true"], key="k", env={"A": "1", "B": "2"}, timeout=5)
    again = client.run(["true"], key="k", env={"B": "2", "A": "1"}, timeout=5.0, name=None)
    assert again["id"] == job["id"]


@daemon_test
def test_keys_apart_are_jobs_apart(daemon, client):
    assert client.run(["true"], key="a")["id"] != client.run(["true"], key="b")["id"]


@daemon_test
def test_key_of_a_failed_launch_gives_the_failure_back(daemon, client):
    job = client.run(["/nonexistent/program"], key="k")
    again = client.run(["/nonexistent/program"], key="k")
    assert again["id"] == job["id"]
    assert_reason(again, "spawn_failed")


@daemon_test
def test_labels_are_kept(daemon, client):
    labels = {"a": "1", "empty": "", "ü": "€"}
    job = client.run(["true"], labels=labels)
    assert job["labels"] == labels and client.status(job)["labels"] == labels
    assert client.run(["true"])["labels"] == {}


@daemon_test
def test_forget_drops_final_jobs_and_their_output(daemon, client):
    jobs = [client.run(child("lines", 3)) for _ in range(3)]
    client.call("job.forget", ids=[jobs[0]["id"], jobs[2]["id"]])
    assert_refused(client.refused("job.status", id=jobs[0]["id"]), NOT_FOUND)
    assert_refused(client.refused("job.output", id=jobs[2]["id"]), NOT_FOUND)
    assert text(client.status(jobs[1], inline_bytes=100)) == "line 1\nline 2\nline 3\n"


@daemon_test
def test_forgetting_a_live_job_is_a_conflict(daemon, client):
    over, live = client.run(["true"]), client.start(child("sleep", 1000))
    assert_refused(client.refused("job.forget", ids=[over["id"], live["id"]]), CONFLICT)
    assert client.status(over)["state"] == "final" and client.status(live)["state"] == "running"


@daemon_test
def test_forget_with_an_unknown_id(daemon, client):
    over = client.run(["true"])
    assert_refused(client.refused("job.forget", ids=[over["id"], 999_999]), NOT_FOUND)
    assert client.status(over)["state"] == "final"


def test_forgetting_a_job_that_is_named_twice():
    for store in "none", "sqlite":  # in memory only, or in both
        with Daemon(["--set", f"store={store}"]) as daemon:
            client = daemon.client()
            one, other = client.run(["true"])["id"], client.run(["true"])["id"]
            assert client.call("job.forget", ids=[one, one, other, one, other])["forgotten"] == 2
            assert client.call("job.list")["jobs"] == []


@daemon_test
def test_forget_all_that_is_final(daemon, client):
    live = client.start(child("sleep", 1000))
    for _ in range(5):
        client.run(["true"])
    client.call("job.forget", final=True)
    assert [job["id"] for job in client.call("job.list")["jobs"]] == [live["id"]]


def test_forget_takes_back_the_storage():
    with Daemon(["--set", "store=none"]) as daemon:  # else it may be in the history by the time that it is looked at
        client = daemon.client()

        def stored():
            return client.call("daemon.stats")["output"]["stored_bytes"]
        before = stored()
        job = client.run(child("flood", 900_000))
        assert stored() > before
        client.call("job.forget", ids=[job["id"]])
        procs.eventually(lambda: stored() == before, "the storage is free again")


@daemon_test
def test_retain_ends_on_its_own(daemon, client):
    job = client.run(["true"], retain=0.5)
    assert client.status(job)["state"] == "final"
    procs.eventually(lambda: client.answer(client.request("job.status", id=job["id"])).get("error"), "it is dropped")
    assert time.time() >= job["ended_at"] + 0.5 - 0.01
    assert_refused(client.refused("job.status", id=job["id"]), NOT_FOUND)


@daemon_test
def test_retain_0_keeps_nothing_beyond_the_answer(daemon, client):
    job = client.run(child("lines", 1), retain=0)
    assert_reason(job, "exited", exit_code=0)
    assert text(job) == "line 1\n"
    procs.eventually(lambda: client.answer(client.request("job.status", id=job["id"])).get("error"), "it is dropped")
