"""The tie of a job to a connection."""

import os
import signal

import procs
from client import Client, data_of
from harness import Daemon, assert_reason, child, daemon_test, text


@daemon_test
def test_lease_kills_when_the_connection_closes(daemon, client):
    other = daemon.client()
    job = other.start(child("sleep", 1000), lease=True)
    other.close()
    done = client.wait(job)
    assert_reason(done, "killed", signal="SIGTERM")
    assert done["result"]["killed_by"]["by"] == "lease"


@daemon_test
def test_lease_kills_with_grace(daemon, client):
    other = daemon.client()
    job = other.start(child("ignore-term"), lease=True, grace=0.2)
    other.wait_text(job, "ready\n")
    other.close()
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_run_is_leased_unless_said_otherwise(daemon, client):
    other = daemon.client()
    other.request("job.run", argv=child("sleep", 1000), name="leased")
    other.request("job.run", argv=child("sleep", 1000), name="free", lease=False)
    other.call("daemon.info")
    other.call("job.wait", name="free", limit=0)
    other.close()
    job = client.call("job.wait", name="leased")["jobs"][0]
    assert job["result"]["killed_by"]["by"] == "lease", job["result"]
    assert client.call("job.status", name="free")["job"]["state"] in ("starting", "running")


@daemon_test
def test_half_closed_connection_keeps_leases_and_answers(daemon, client):
    other = daemon.client()
    request = other.request("job.run", argv=["sh", "-c", "sleep 0.3; echo done"])
    other.shut_writing()
    job = other.result(request)["job"]
    assert_reason(job, "exited", exit_code=0)
    assert text(job) == "done\n"


@daemon_test
def test_connection_closed_before_the_leader_runs(daemon, client):
    for i in range(30):
        other = daemon.client()
        other.request("job.run", argv=child("sleep", 1000), name=f"n{i}")
        other.close()
    for job in client.call("job.list", limit=1000)["jobs"]:
        assert_reason(client.wait(job), "killed")


@daemon_test
def test_lease_of_a_job_that_is_over_does_nothing(daemon, client):
    other = daemon.client()
    job = other.start(child("exit", 0), lease=True)
    client.wait(job)
    other.close()
    assert_reason(client.status(job), "exited", exit_code=0)


def test_lease_does_not_outlive_the_killed_client():
    with Daemon() as daemon:
        client = daemon.client()
        pid = os.fork()
        if pid == 0:
            other = Client(daemon.socket)
            other.request("job.run", argv=child("sleep", 1000), name="leased")
            other.call("daemon.info")
            signal.pause()
        listed = procs.eventually(lambda: client.call("job.list", name="leased")["jobs"], "the job is there")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert_reason(client.wait(listed[0]), "killed")


@daemon_test
def test_a_lease_that_is_taken_over_takes_the_hold_along(daemon, client):
    other = daemon.client()
    request = other.request("job.run", argv=["seq", "1", "400000"], follow=True, fd=True)
    job = other.notification("job.started")["job"]  # and acknowledges nothing
    answers = client.batch([("job.lease", {"id": job["id"]}),  # in one: nothing happens in between
                            ("job.output", {"id": job["id"], "stream": "stdout", "follow": True, "hold": True})])
    data = b""
    (answer,) = [a["result"] for a in answers.values() if "chunks" in a["result"]]
    while True:
        assert not answer["gaps"], answer["gaps"]
        data += b"".join(data_of(chunk) for chunk in answer["chunks"])
        if answer["eof"]:
            break
        answer = client.notification("job.output")
    assert data.split() == [b"%d" % i for i in range(1, 400001)]
    assert_reason(other.result(request)["job"], "exited", exit_code=0)
