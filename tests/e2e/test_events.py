"""Events: what a subscriber is told, from when on, and what it has missed."""

import json

from harness import INVALID_PARAMS, NOT_FOUND, assert_refused, child, daemon_test

SETS = "any"


def subscribe(client, **params):
    answer = client.call("event.subscribe", **params)
    return answer["subscription"], answer


def event(client):
    while not client.notifications:
        client.pump()
    note = client.notifications.popleft()
    assert note["method"] == "event", note
    return note["params"]


def types(client, count):
    return [event(client)["type"] for _ in range(count)]


@daemon_test
def test_a_job_from_start_to_end(daemon, client):
    other = daemon.client()
    subscription, answer = subscribe(other)
    assert answer["seq"] == 0
    job = client.run(["true"], name="short")
    started, final = event(other), event(other)
    assert (started["type"], final["type"]) == ("job.started", "job.final")
    assert (started["seq"], final["seq"]) == (1, 2)
    assert started["subscription"] == subscription and started["id"] == job["id"]
    assert started["job"]["state"] == "running" and started["job"]["result"] is None
    assert final["job"]["state"] == "final" and final["job"]["result"]["exit_code"] == 0
    client.call("job.forget", name="short", id=None)
    gone = event(other)
    assert (gone["type"], gone["id"], gone["job"]) == ("job.forgotten", job["id"], None)


@daemon_test
def test_stopping_comes_once_before_the_end(daemon, client):
    other = daemon.client()
    subscribe(other)
    job = client.start(child("ignore-term"))
    client.wait_text(job, "ready\n")
    client.kill(job, grace=60)
    client.kill(job, grace=0)
    client.wait(job)
    assert types(other, 3) == ["job.started", "job.stopping", "job.final"]


@daemon_test
def test_since_replays(daemon, client):
    jobs = [client.run(["true"])["id"] for _ in range(3)]
    _, answer = subscribe(client, since=2)
    assert answer["seq"] == 2
    got = [event(client) for _ in range(4)]
    assert [each["seq"] for each in got] == [3, 4, 5, 6]
    assert [each["id"] for each in got] == [jobs[1], jobs[1], jobs[2], jobs[2]]
    assert_refused(client.refused("event.subscribe", since=7), INVALID_PARAMS, "since")


@daemon_test
def test_the_end_of_one_that_is_forgotten_at_once_is_told_with_its_record(daemon, client):
    other = daemon.client()
    subscribe(other, types=["job.final", "job.forgotten"])
    for _ in range(3):
        client.run(["sh", "-c", "exit 3"], retain=0)
        final, forgotten = event(other), event(other)
        assert final["type"] == "job.final" and final["job"]["result"]["exit_code"] == 3, final
        assert forgotten["type"] == "job.forgotten" and forgotten["job"] is None, forgotten


@daemon_test
def test_a_type_that_is_none_is_told_all_that_are(daemon, client):
    error = client.refused("event.subscribe", types=["job.finale"])
    assert_refused(error, INVALID_PARAMS, "types[0]")
    assert error.data["why"].endswith('"daemon.stopping"') and error.data["why"] in error.message, error


@daemon_test
def test_filters_leave_holes(daemon, client):
    other = daemon.client()
    first = client.start(child("sleep", 1000))
    subscribe(other, types=["job.final"], jobs=[first["id"]])
    client.run(["true"])
    client.kill(first, grace=0)
    client.wait(first)
    got = event(other)
    assert got["type"] == "job.final" and got["id"] == first["id"] and got["seq"] > 3


@daemon_test
def test_snapshot_is_the_live_jobs(daemon, client):
    client.run(["true"])
    live = client.start(child("sleep", 1000))
    _, answer = subscribe(client, snapshot=True)
    assert [job["id"] for job in answer["jobs"]] == [live["id"]] and answer["seq"] == 3


@daemon_test
def test_unsubscribe(daemon, client):
    subscription, _ = subscribe(client)
    client.call("event.unsubscribe", subscription=subscription)
    client.run(["true"])
    assert client.refused("event.unsubscribe", subscription=subscription).code == NOT_FOUND
    assert not client.notifications


@daemon_test
def test_more_than_are_kept_is_a_gap(daemon, client):
    for _ in range(6):
        requests = [client.request("job.run", argv=["true"], retain=0) for _ in range(600)]
        for request in requests:
            client.result(request)
    last = client.call("event.subscribe")["seq"]
    assert last == 3 * 3600
    other = daemon.client()
    subscribe(other, since=0)
    gap = event(other)
    assert gap["type"] == "gap" and gap["from"] == 1 and gap["to"] == last - 10000, gap
    following = event(other)
    assert following["seq"] == gap["to"] + 1


@daemon_test
def test_daemon_stopping(daemon, client):
    other = daemon.client()
    subscribe(other, types=["daemon.stopping"])
    client.call("daemon.stop")
    got = event(other)
    assert got["type"] == "daemon.stopping" and got["job"] is None and got["id"] is None


@daemon_test
def test_supctl_events(daemon, client):
    client.run(["false"], name="first")
    process = daemon.supctl_start("events", "--since", 0)
    lines = [process.stdout.readline().split() for _ in range(2)]
    assert lines[0][2:] == [b"1", b"job.started", b"1", b"first", b"false"], lines
    assert lines[1][2:] == [b"2", b"job.final", b"1", b"first", b"exit", b"1"], lines
    process.kill()
    process.communicate()
    process = daemon.supctl_start("events", "--json", "first", "--since", 0, "--type", "job.final")
    assert json.loads(process.stdout.readline())["type"] == "job.final"
    process.kill()
    process.communicate()
