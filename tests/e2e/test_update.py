"""job.update and job.lease on live jobs."""

from harness import CONFLICT, INVALID_PARAMS, assert_reason, assert_refused, child, daemon_test

SETS = "any"


@daemon_test
def test_timeout_is_given_shortened_and_removed(daemon, client):
    job = client.start(child("sleep", 1000), timeout=500)
    for timeout, low, high in ((1000, 990, 1000), (20, 10, 20)):
        job = client.call("job.update", id=job["id"], timeout=timeout)["job"]
        assert low < job["deadlines"]["timeout"] <= high, job["deadlines"]
    assert client.call("job.update", id=job["id"], timeout=None)["job"]["deadlines"]["timeout"] is None
    client.call("job.update", id=job["id"], timeout=0.05)
    assert_reason(client.wait(job), "timeout")


@daemon_test
def test_idle_timeout_counts_from_now(daemon, client):
    job = client.start(child("sleep", 1000), name="quiet")
    job = client.call("job.update", name="quiet", idle_timeout=30)["job"]
    assert 20 < job["deadlines"]["idle_timeout"] <= 30
    assert client.call("job.update", name="quiet", idle_timeout=None)["job"]["deadlines"]["idle_timeout"] is None
    client.call("job.update", name="quiet", idle_timeout=0.05)
    assert_reason(client.wait(job), "idle_timeout")


@daemon_test
def test_what_is_not_named_stays(daemon, client):
    job = client.start(child("sleep", 1000), timeout=500, labels={"a": "1"})
    job = client.call("job.update", id=job["id"], labels={"b": "2"})["job"]
    assert job["labels"] == {"b": "2"} and job["deadlines"]["timeout"] > 400
    assert [each["id"] for each in client.call("job.list", labels={"b": "2"})["jobs"]] == [job["id"]]
    assert client.call("job.list", labels={"a": "1"})["jobs"] == []
    assert client.call("job.update", id=job["id"])["job"]["labels"] == {"b": "2"}


@daemon_test
def test_what_can_not_be_updated(daemon, client):
    over = client.run(["true"])
    assert_refused(client.refused("job.update", id=over["id"], timeout=5), CONFLICT)
    assert client.call("job.update", id=over["id"], labels={"kept": "yes"})["job"]["labels"] == {"kept": "yes"}
    job = client.start(child("ignore-term"), stdout="null", stderr="null", grace=60)
    assert_refused(client.refused("job.update", id=job["id"], idle_timeout=5), INVALID_PARAMS, "idle_timeout")
    for wrong in (0, -1, "soon", 1e10):
        assert_refused(client.refused("job.update", id=job["id"], timeout=wrong), INVALID_PARAMS, "timeout")
    client.kill(job)
    assert_refused(client.refused("job.update", id=job["id"], timeout=5), CONFLICT)
    client.kill_and_wait(job)


@daemon_test
def test_lease_is_taken_over(daemon, client):
    first, second = daemon.client(), daemon.client()
    job = first.start(child("sleep", 1000), lease=True)
    assert second.call("job.lease", id=job["id"])["job"]["id"] == job["id"]
    first.close()
    assert second.status(job)["state"] == "running", "it is the second one's now"
    second.close()
    job = client.wait(job)
    assert_reason(job, "killed")
    assert job["result"]["killed_by"]["by"] == "lease"


@daemon_test
def test_lease_of_a_job_that_had_none(daemon, client):
    other = daemon.client()
    job = client.start(child("sleep", 1000))
    other.call("job.lease", id=job["id"])
    other.close()
    assert_reason(client.wait(job), "killed")


@daemon_test
def test_lease_of_a_final_job_is_no_error(daemon, client):
    job = client.run(["true"])
    assert client.call("job.lease", id=job["id"])["job"]["state"] == "final"
    assert client.refused("job.lease", id=999).code == 1
