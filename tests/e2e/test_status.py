"""job.status and job.list."""

from harness import NOT_FOUND, assert_refused, child, daemon_test, text

SETS = "any"


def ids(answer):
    return [job["id"] for job in answer["jobs"]]


@daemon_test
def test_status_by_id_and_by_name(daemon, client):
    job = client.start(child("sleep", 1000), name="quiet", labels={"a": "1"})
    for shown in (client.status(job), client.call("job.status", name="quiet")["job"]):
        assert shown["id"] == job["id"] and shown["name"] == "quiet" and shown["labels"] == {"a": "1"}
        assert shown["state"] == "running" and shown["elapsed"] >= 0 and shown["ended_at"] is None


@daemon_test
def test_status_of_nobody_is_not_found(daemon, client):
    assert_refused(client.refused("job.status", id=12345), NOT_FOUND)
    assert_refused(client.refused("job.status", name="nobody"), NOT_FOUND)


@daemon_test
def test_exactly_one_of_id_and_name(daemon, client):
    assert_refused(client.refused("job.status"), -32602)
    assert_refused(client.refused("job.status", id=1, name="x"), -32602)


@daemon_test
def test_status_shows_output_where_asked(daemon, client):
    job = client.run(child("lines", 3))
    assert "data" not in client.status(job)["stdout"]
    shown = client.status(job, inline_bytes=1000)
    assert text(shown) == "line 1\nline 2\nline 3\n" and "cut" not in shown["stdout"]
    shown = client.status(job, inline_bytes=8)
    assert shown["stdout"]["cut"] == [4, 17] and text(shown) == "line" + "e 3\n"


@daemon_test
def test_output_of_a_live_job_is_shown(daemon, client):
    job = client.start(child("ignore-term"), grace=0)
    client.wait_text(job, "ready\n")
    shown = client.status(job, inline_bytes=100)
    assert text(shown) == "ready\n" and shown["stdout"]["eof"] is False


@daemon_test
def test_deadlines_count_down(daemon, client):
    job = client.start(child("sleep", 1000), timeout=500, idle_timeout=300, cpu_timeout=100)
    left = client.status(job)["deadlines"]
    assert 470 < left["timeout"] <= 500 and 270 < left["idle_timeout"] <= 300, left
    assert 99 < left["cpu_timeout"] <= 100 and left["queue_timeout"] is None, left
    job = client.start(child("sleep", 1000))
    assert set(client.status(job)["deadlines"].values()) == {None}


@daemon_test
def test_list_is_newest_first(daemon, client):
    made = [client.run(["true"])["id"] for _ in range(5)]
    answer = client.call("job.list")
    assert ids(answer) == made[::-1] and answer["next"] is None


@daemon_test
def test_list_of_nothing(daemon, client):
    assert client.call("job.list") == {"jobs": [], "next": None}


@daemon_test
def test_list_by_state(daemon, client):
    live, over = client.start(child("sleep", 1000)), client.run(["true"])
    assert ids(client.call("job.list", states=["running"])) == [live["id"]]
    assert ids(client.call("job.list", states=["final"])) == [over["id"]]
    assert ids(client.call("job.list", states=["final", "running"])) == [over["id"], live["id"]]
    assert ids(client.call("job.list", states=["queued"])) == []


@daemon_test
def test_list_by_name(daemon, client):
    first = client.run(["true"], name="build")
    second = client.run(["true"], name="build")
    client.run(["true"], name="other")
    assert ids(client.call("job.list", name="build")) == [second["id"], first["id"]]


@daemon_test
def test_list_by_labels_all_of_which_match(daemon, client):
    client.run(["true"], labels={"a": "1"})
    both = client.run(["true"], labels={"a": "1", "b": "2", "c": "3"})
    client.run(["true"], labels={"a": "x", "b": "2"})
    assert ids(client.call("job.list", labels={"a": "1", "b": "2"})) == [both["id"]]
    assert len(ids(client.call("job.list", labels={"a": "1"}))) == 2
    assert len(ids(client.call("job.list", labels={}))) == 3


@daemon_test
def test_list_page_by_page(daemon, client):
    made = [client.run(["true"])["id"] for _ in range(7)]
    seen, before = [], None
    pages = 0
    while True:
        answer = client.call("job.list", limit=3, before=before)
        seen += ids(answer)
        pages += 1
        assert len(answer["jobs"]) <= 3
        before = answer["next"]
        if before is None:
            break
        client.run(["true"], labels={"new": "1"})  # what comes meanwhile moves no page
    assert seen == made[::-1] and pages == 3, (seen, pages)


@daemon_test
def test_pages_of_a_filter(daemon, client):
    for i in range(9):
        client.run(["true"], labels={"odd": str(i % 2)})
    first = client.call("job.list", labels={"odd": "1"}, limit=2)
    second = client.call("job.list", labels={"odd": "1"}, limit=2, before=first["next"])
    assert len(ids(first) + ids(second)) == 4 and second["next"] is None
    assert ids(first) + ids(second) == sorted(ids(first) + ids(second), reverse=True)


@daemon_test
def test_page_has_100_unless_said(daemon, client):
    requests = [client.request("job.run", argv=["true"]) for _ in range(105)]
    for request in requests:
        client.result(request)
    answer = client.call("job.list")
    assert len(answer["jobs"]) == 100 and answer["next"] is not None
    assert len(client.call("job.list", before=answer["next"])["jobs"]) == 5
    assert len(client.call("job.list", limit=1000)["jobs"]) == 105
