"""The cases that everything else grew from."""

from harness import CONFLICT, assert_reason, assert_refused, child, daemon_test, text


@daemon_test
def test_sleep_5_with_timeout_3_is_killed_and_timed_out(daemon, client):
    job = client.run(["sleep", "5"], timeout=3)
    assert_reason(job, "timeout", timed_out=True, signal="SIGTERM", exit_code=None)
    assert 3 <= job["elapsed"] < 5, job["elapsed"]


@daemon_test
def test_uname_with_timeout_3_ends_0_with_its_output(daemon, client):
    job = client.run(["uname", "-a"], timeout=3)
    assert_reason(job, "exited", exit_code=0, timed_out=False)
    assert text(job).startswith("Linux "), job["stdout"]
    assert job["stderr"]["bytes"] == 0


@daemon_test
def test_nonexistent_program_is_spawn_failed_at_exec_with_enoent(daemon, client):
    job = client.run(["/nonexistent/program", "x"], timeout=3)
    assert_reason(job, "spawn_failed", timed_out=False, exit_code=None, signal=None)
    assert job["result"]["error"]["stage"] == "exec", job["result"]
    assert job["result"]["error"]["errno"] == "ENOENT", job["result"]
    assert job["pid"] is None and job["started_at"] is None


@daemon_test
def test_cat_of_a_missing_file_fails_with_its_message_on_stderr(daemon, client):
    job = client.run(["cat", "/nonexistent/file"], timeout=3)
    assert_reason(job, "exited", timed_out=False)
    assert job["result"]["exit_code"] != 0
    assert "/nonexistent/file" in text(job, "stderr"), job["stderr"]
    assert text(job) == ""


@daemon_test
def test_starting_one_key_twice_never_runs_it_twice(daemon, client):
    mark = daemon.directory + "/mark"
    argv = ["sh", "-c", f"echo run >> {mark}; echo once"]
    first = client.run(argv, key="build-7")
    second = client.run(argv, key="build-7")
    third = client.start(argv, key="build-7")
    assert first["id"] == second["id"] == third["id"]
    assert second["result"] == first["result"] and text(second) == "once\n"
    with open(mark, encoding="utf-8") as file:
        assert file.read() == "run\n"
    assert_refused(client.refused("job.start", argv=argv + ["other"], key="build-7"), CONFLICT)


@daemon_test
def test_starting_one_key_at_once_from_many_runs_it_once(daemon, client):
    mark = daemon.directory + "/mark"
    argv = ["sh", "-c", f"echo run >> {mark}; sleep 0.2; echo once"]
    clients = [daemon.client() for _ in range(8)]
    requests = [c.request("job.run", argv=argv, key="same", lease=False) for c in clients]
    jobs = [c.result(r)["job"] for c, r in zip(clients, requests)]
    assert len({job["id"] for job in jobs}) == 1
    assert all(text(job) == "once\n" for job in jobs)
    with open(mark, encoding="utf-8") as file:
        assert file.read() == "run\n"


@daemon_test
def test_timeout_in_small(daemon, client):
    job = client.run(child("sleep", 60), timeout=0.2)
    assert_reason(job, "timeout", timed_out=True, signal="SIGTERM")
