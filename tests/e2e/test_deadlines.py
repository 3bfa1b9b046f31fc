"""timeout, idle_timeout, cpu_timeout: who is ended, how, and what the result says."""

import procs
from harness import assert_reason, assert_refused, child, daemon_test, needs_tree, text


@daemon_test
def test_timeout_ends_with_the_stop_signal(daemon, client):
    job = client.run(child("signals", 0), timeout=0.3, stop_signal="SIGTERM")
    assert_reason(job, "timeout", exit_code=0, signal=None, timed_out=True)
    assert text(job) == "ready\nSIGTERM\n"


@daemon_test
def test_timeout_then_grace_then_sigkill(daemon, client):
    job = client.run(child("ignore-term"), timeout=0.3, grace=0.2)
    assert_reason(job, "timeout", signal="SIGKILL", timed_out=True)
    assert 0.5 <= job["elapsed"] < 30, job["elapsed"]


@daemon_test
def test_timeout_with_grace_0_is_sigkill(daemon, client):
    job = client.run(child("signals", 0), timeout=0.3, grace=0)
    assert_reason(job, "timeout", signal="SIGKILL")
    assert text(job) == "ready\n"


@daemon_test
def test_job_that_ends_in_time_is_not_timed_out(daemon, client):
    assert_reason(client.run(child("exit", 0), timeout=30), "exited", exit_code=0, timed_out=False)


@daemon_test
def test_output_before_the_timeout_is_kept(daemon, client):
    job = client.run(["sh", "-c", "echo before; echo error >&2; sleep 1000"], timeout=0.5)
    assert_reason(job, "timeout")
    assert text(job) == "before\n" and text(job, "stderr") == "error\n"


@daemon_test
def test_idle_timeout_ends_a_silent_job(daemon, client):
    job = client.run(["sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done; sleep 1000"], idle_timeout=0.8)
    assert_reason(job, "idle_timeout", timed_out=True, signal="SIGTERM")
    assert text(job) == "1\n2\n3\n4\n5\n"
    assert job["elapsed"] >= 0.8 + 4 * 0.2, job["elapsed"]


@daemon_test
def test_idle_timeout_counts_any_captured_stream(daemon, client):
    job = client.run(["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.2; done"], idle_timeout=0.8,
                     stdout="null")
    assert_reason(job, "exited", exit_code=0)


@daemon_test
def test_idle_timeout_needs_a_captured_stream(daemon, client):
    error = client.refused("job.start", argv=["true"], idle_timeout=1, stdout="null", stderr="null")
    assert_refused(error, -32602, "idle_timeout")
    error = client.refused("job.start", argv=["true"], idle_timeout=1, stdout={"file": "/dev/null"}, stderr="stdout")
    assert_refused(error, -32602, "idle_timeout")


@daemon_test
def test_cpu_timeout_ends_a_job_that_spins(daemon, client):
    job = client.run(child("spin"), cpu_timeout=0.3)
    assert_reason(job, "cpu_timeout", timed_out=True, signal="SIGTERM")
    usage = job["result"]["usage"]
    assert usage["user"] + usage["system"] >= 0.25, usage


@daemon_test
def test_cpu_timeout_lets_a_job_sleep(daemon, client):
    assert_reason(client.run(child("sleep", 1), cpu_timeout=0.5), "exited", exit_code=0)


@daemon_test
def test_cpu_timeout_counts_the_tree(daemon, client):
    needs_tree()
    job = client.run(child("spin-tree"), cpu_timeout=0.3)
    assert_reason(job, "cpu_timeout", timed_out=True, survivors=[])


@daemon_test
def test_first_cause_fixes_the_reason(daemon, client):
    job = client.start(child("ignore-term"), timeout=1.5, grace=1000)
    client.wait_text(job, "ready\n")
    client.kill(job)
    procs.eventually(lambda: client.status(job)["elapsed"] > 1.6, "the timeout has passed, too")
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", timed_out=False)


@daemon_test
def test_first_cause_is_the_timeout(daemon, client):
    job = client.start(child("ignore-term"), timeout=0.3, grace=1000)
    procs.eventually(lambda: client.status(job)["state"] == "stopping", "the timeout stops it")
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "timeout", signal="SIGKILL", timed_out=True, killed_by=None)


@daemon_test
def test_child_that_closed_its_pipes_is_still_timed_out(daemon, client):
    job = client.run(child("close-pipes"), timeout=0.5)
    assert_reason(job, "timeout", signal="SIGTERM")
    assert job["stdout"]["eof"] is True and job["stderr"]["eof"] is True


@daemon_test
def test_stopped_child_is_timed_out(daemon, client):
    job = client.start(child("sleep", 1000), timeout=0.5)
    client.call("job.signal", id=job["id"], signal="SIGSTOP")
    assert_reason(client.wait(job), "timeout", timed_out=True)


@daemon_test
def test_flood_is_timed_out(daemon, client):
    job = client.run(child("flood"), timeout=0.5)
    assert_reason(job, "timeout", timed_out=True)
    assert job["stdout"]["bytes"] > 0


@daemon_test
def test_hundred_deadlines_at_once(daemon, client):
    requests = [client.request("job.run", argv=child("sleep", 1000), timeout=0.5) for _ in range(100)]
    for request in requests:
        assert_reason(client.result(request)["job"], "timeout", signal="SIGTERM")
