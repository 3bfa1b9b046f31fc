"""job.kill and job.signal."""

import os
import signal

import procs
from harness import NOT_FOUND, SETTINGS, Skip, assert_reason, assert_refused, child, daemon_test, needs_tree, text


def ready(client, *arguments, **spec):
    job = client.start(child(*arguments), **spec)
    client.wait_text(job, "ready\n")
    return job


@daemon_test
def test_kill_sends_the_stop_signal(daemon, client):
    job = client.start(child("sleep", 1000))
    answer = client.kill(job)
    assert answer["id"] == job["id"]
    assert_reason(client.wait(job), "killed", signal="SIGTERM", timed_out=False,
                  killed_by={"by": "client", "uid": os.getuid()})


@daemon_test
def test_kill_answers_at_once(daemon, client):
    job = ready(client, "ignore-term", grace=1000)
    assert client.kill(job)["state"] == "stopping"
    assert client.status(job)["state"] == "stopping"
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_grace_of_the_job_ends_in_sigkill(daemon, client):
    job = ready(client, "ignore-term", grace=0.1)
    client.kill(job)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_grace_of_the_call(daemon, client):
    job = ready(client, "ignore-term", grace=1000)
    client.kill(job, grace=0.1)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_grace_0_is_sigkill_and_nothing_else(daemon, client):
    job = ready(client, "signals", 5)
    client.kill(job, grace=0)
    shown = client.wait(job, inline_bytes=100)
    assert_reason(shown, "killed", signal="SIGKILL")
    assert text(shown) == "ready\n"


@daemon_test
def test_spec_with_grace_0(daemon, client):
    job = ready(client, "signals", 5, grace=0)
    client.kill(job)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_stop_signal_of_the_job_and_of_the_call(daemon, client):
    job = client.start(child("sleep", 1000), stop_signal="SIGINT")
    client.kill(job)
    assert_reason(client.wait(job), "killed", signal="SIGINT")
    job = client.start(child("sleep", 1000), stop_signal="SIGINT")
    client.kill(job, signal="SIGUSR1")
    assert_reason(client.wait(job), "killed", signal="SIGUSR1")


@daemon_test
def test_killed_though_the_program_then_exits_0(daemon, client):
    job = ready(client, "signals", 0)
    client.kill(job)
    shown = client.wait(job, inline_bytes=100)
    assert_reason(shown, "killed", exit_code=0, signal=None)
    assert text(shown) == "ready\nSIGTERM\n"


@daemon_test
def test_second_kill_shortens_and_never_lengthens(daemon, client):
    job = ready(client, "ignore-term", grace=1000)
    client.kill(job)
    client.kill(job, grace=0.1)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")
    job = ready(client, "ignore-term", grace=0.3)
    client.kill(job)
    client.kill(job, grace=1000)
    assert_reason(client.wait(job), "killed", signal="SIGKILL")


@daemon_test
def test_stopped_job_is_woken_to_end(daemon, client):
    job = client.start(child("sleep", 1000), grace=1000)
    client.call("job.signal", id=job["id"], signal="SIGSTOP")
    procs.eventually(lambda: procs.stat(job["pid"])[0] == b"T", "the job is stopped")
    client.kill(job)
    assert_reason(client.wait(job), "killed", signal="SIGTERM")


@daemon_test
def test_killing_a_final_job_is_no_error(daemon, client):
    job = client.run(child("exit", 3))
    assert client.kill(job)["result"]["reason"] == "exited"
    assert_reason(client.status(job), "exited", exit_code=3)


@daemon_test
def test_kill_by_ids_and_by_name(daemon, client):
    jobs = [client.start(child("sleep", 1000), name=f"job{i}") for i in range(4)]
    answer = client.call("job.kill", ids=[jobs[2]["id"], jobs[0]["id"]])
    assert [job["id"] for job in answer["jobs"]] == [jobs[2]["id"], jobs[0]["id"]]
    client.call("job.kill", name="job3")
    for i in (0, 2, 3):
        assert_reason(client.wait(jobs[i]), "killed")
    assert client.status(jobs[1])["state"] == "running"


@daemon_test
def test_one_unknown_id_and_nothing_happens(daemon, client):
    job = client.start(child("sleep", 1000))
    assert_refused(client.refused("job.kill", ids=[job["id"], 999_999]), NOT_FOUND)
    assert client.status(job)["state"] == "running"


@daemon_test
def test_kill_reaches_the_whole_tree(daemon, client):
    needs_tree()
    job = client.start(child("bomb", 5, f"token-{daemon.pid}"))
    client.wait_text(job, "ready\n")
    assert len(procs.with_argument(f"token-{daemon.pid}")) == 6
    client.kill(job)
    assert_reason(client.wait(job), "killed", survivors=[])
    assert procs.with_argument(f"token-{daemon.pid}") == []


@daemon_test
def test_signal_is_delivered_and_sets_no_reason(daemon, client):
    job = ready(client, "signals", 6)
    for name in ("SIGHUP", "SIGUSR1", "SIGWINCH"):
        assert client.call("job.signal", id=job["id"], signal=name) == {}
        client.wait_text(job, f"{name}\n")
    client.call("job.signal", id=job["id"], signal="SIGTERM")
    assert_reason(client.wait(job), "exited", exit_code=6, killed_by=None)
    job = client.start(child("sleep", 1000))
    client.call("job.signal", id=job["id"], signal="SIGKILL")
    assert_reason(client.wait(job), "signaled", signal="SIGKILL", killed_by=None)


@daemon_test
def test_signal_to_the_leader_alone_and_to_the_tree(daemon, client):
    script = "trap 'echo leader' USR1; (trap 'echo inner' USR1; echo up; while :; do sleep 0.02; done) & " \
             "while :; do wait; done"
    job = client.start(["bash", "-c", script])
    client.wait_text(job, "up\n")
    client.call("job.signal", id=job["id"], signal="SIGUSR1", to="leader")
    client.wait_text(job, "leader\n")
    assert "inner" not in text(client.status(job, inline_bytes=1000))
    client.call("job.signal", id=job["id"], signal="SIGUSR1", to="tree")
    client.wait_text(job, "inner\n")
    client.kill_and_wait(job)


@daemon_test
def test_signal_to_nobody(daemon, client):
    assert_refused(client.refused("job.signal", id=999_999, signal="SIGHUP"), NOT_FOUND)


@daemon_test
def test_kill_of_a_hundred_at_once(daemon, client):
    requests = [client.request("job.start", argv=child("sleep", 1000)) for _ in range(100)]
    jobs = [client.result(request)["job"]["id"] for request in requests]
    client.call("job.kill", ids=jobs)
    for job in client.call("job.wait", ids=jobs)["jobs"]:
        assert_reason(job, "killed", signal="SIGTERM")


@daemon_test
def test_kill_reaches_a_tree_whose_keeper_was_stopped(daemon, client):
    job = ready(client, "ignore-term")
    for pid in procs.children(daemon.worker):
        procs.kill(pid, signal.SIGSTOP)
    client.kill(job, grace=0)
    assert_reason(client.wait(job, limit=10), "killed", signal="SIGKILL", survivors=[])


@daemon_test
def test_a_kill_comes_behind_more_signals_than_there_is_room_for(daemon, client):
    """Each of them takes a look at the whole tree, and there is only so much room for what a reaper is told."""
    if SETTINGS.get("tree") != "reaper":
        raise Skip("nobody but a reaper is told of signals")
    job = ready(client, "bomb", 400, f"flooded-{daemon.pid}")
    with daemon.client() as other:
        for _ in range(1000):
            other.notify("job.signal", id=job["id"], signal="SIGCONT")
        client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", survivors=[])
