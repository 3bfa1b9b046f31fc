"""A program that can't be executed is a final job that says at which step it failed and with what errno."""

import os
import signal

import procs
from harness import assert_reason, child, daemon_test, text


def failed(client, argv, stage, errno, **spec):
    job = client.run(argv, **spec)
    assert_reason(job, "spawn_failed", exit_code=None, signal=None, timed_out=False, survivors=[])
    error = job["result"]["error"]
    assert (error["stage"], error["errno"]) == (stage, errno), error
    assert error["message"], error
    assert job["pid"] is None and job["started_at"] is None
    for name in ("stdout", "stderr"):
        assert job[name]["bytes"] == 0 and job[name]["eof"] is True, job[name]
    return job


def make_file(daemon, name, content, mode=0o755):
    path = os.path.join(daemon.directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


@daemon_test
def test_name_not_in_the_path(daemon, client):
    failed(client, ["no-such-program-anywhere"], "exec", "ENOENT")


@daemon_test
def test_a_search_in_many_places_takes_no_memory(daemon, client):
    client.run(["true"])
    before = procs.peak_bytes(daemon.worker)
    failed(client, ["x" * 200], "exec", "ENOENT", env={"PATH": ":" * 300_000})
    assert procs.peak_bytes(daemon.worker) - before < 32 << 20, (before, procs.peak_bytes(daemon.worker))
    failed(client, ["x" * 5000], "exec", "ENAMETOOLONG")


@daemon_test
def test_empty_name(daemon, client):
    failed(client, [""], "exec", "ENOENT")


@daemon_test
def test_not_executable(daemon, client):
    failed(client, [make_file(daemon, "plain", "x", 0o644)], "exec", "EACCES")


@daemon_test
def test_a_directory(daemon, client):
    failed(client, ["/usr"], "exec", "EACCES")


@daemon_test
def test_a_file_as_a_directory(daemon, client):
    failed(client, ["/etc/passwd/x"], "exec", "ENOTDIR")


@daemon_test
def test_no_known_format_is_a_failure_and_no_shell_is_tried(daemon, client):
    failed(client, [make_file(daemon, "script", "echo no interpreter\n")], "exec", "ENOEXEC")


@daemon_test
def test_missing_interpreter(daemon, client):
    failed(client, [make_file(daemon, "script", "#!/nonexistent/interpreter\n")], "exec", "ENOENT")


@daemon_test
def test_missing_cwd(daemon, client):
    failed(client, ["true"], "cwd", "ENOENT", cwd="/nonexistent/directory")
    failed(client, ["true"], "cwd", "ENOTDIR", cwd="/etc/passwd")


@daemon_test
def test_output_file_that_cannot_be_opened(daemon, client):
    failed(client, ["true"], "stdio", "ENOENT", stdout={"file": "/nonexistent/out"})
    failed(client, ["true"], "stdio", "EISDIR", stderr={"file": "/usr"})


@daemon_test
def test_program_is_searched_in_the_jobs_own_path(daemon, client):
    folder = os.path.join(daemon.directory, "bin")
    os.mkdir(folder)
    make_file(daemon, "bin/own-tool", "#!/bin/sh\necho own\n")
    failed(client, ["own-tool"], "exec", "ENOENT")
    assert text(client.run(["own-tool"], env={"PATH": f"{folder}:/bin"})) == "own\n"


@daemon_test
def test_relative_path_element_is_searched_from_the_jobs_cwd(daemon, client):
    folder = os.path.join(daemon.directory, "bin")
    os.mkdir(folder)
    make_file(daemon, "bin/own-tool", "#!/bin/sh\necho own\n")
    job = client.run(["own-tool"], env={"PATH": "bin:/bin:/usr/bin"}, cwd=daemon.directory)
    assert text(job) == "own\n"
    assert text(client.run(["./bin/own-tool"], cwd=daemon.directory)) == "own\n"


@daemon_test
def test_search_goes_on_past_a_file_that_may_not_be_executed(daemon, client):
    for name in ("first", "second"):
        os.mkdir(os.path.join(daemon.directory, name))
    make_file(daemon, "first/tool", "x", 0o644)
    make_file(daemon, "second/tool", "#!/bin/sh\necho second\n")
    path = f"{daemon.directory}/first:{daemon.directory}/second"
    assert text(client.run(["tool"], env={"PATH": path})) == "second\n"
    failed(client, ["tool"], "exec", "EACCES", env={"PATH": f"{daemon.directory}/first:/nonexistent"})


@daemon_test
def test_failure_comes_at_once_and_not_with_the_timeout(daemon, client):
    job = failed(client, ["/nonexistent/program"], "exec", "ENOENT", timeout=20)
    assert job["ended_at"] - job["created_at"] < 10


@daemon_test
def test_many_failures_leave_the_daemon_whole(daemon, client):
    before = set(procs.descriptors(daemon.worker))
    requests = [client.request("job.run", argv=["/nonexistent/program"]) for _ in range(300)]
    for request in requests:
        assert_reason(client.result(request)["job"], "spawn_failed")
    assert text(client.run(["echo", "fine"])) == "fine\n"
    after = set(procs.descriptors(daemon.worker))
    assert len(after) <= len(before) + 4, f"{len(after) - len(before)} descriptors more than before"


@daemon_test
def test_a_launch_that_hangs_delays_no_other_client(daemon, client):
    # Opening a FIFO for writing waits for a reader, before the exec.
    fifo = os.path.join(daemon.directory, "fifo")
    os.mkfifo(fifo)
    hanging = client.request("job.start", argv=child("exit", 0), stdout={"file": fifo}, timeout=2, grace=0)
    other = daemon.client()
    for i in range(20):
        assert text(other.run(["echo", str(i)])) == f"{i}\n"
    job = client.result(hanging)["job"]
    job = other.wait(job)
    assert job["result"]["reason"] in ("timeout", "spawn_failed"), job["result"]


def fifo_of(daemon):
    """A FIFO that nobody reads: opening it for writing hangs, before the exec."""
    path = os.path.join(daemon.directory, "nobody-reads")
    os.mkfifo(path)
    return path


@daemon_test
def test_many_launches_that_hang_delay_no_other_client(daemon, client):
    to = {"file": fifo_of(daemon)}
    hanging = [client.request("job.run", argv=["true"], stdout=to, name=f"hangs{i}") for i in range(12)]
    other = daemon.client()
    for i in range(20):
        assert text(other.run(["echo", str(i)])) == f"{i}\n"
    for i in range(12):
        assert other.call("job.status", name=f"hangs{i}")["job"]["state"] == "starting"
        other.call("job.kill", name=f"hangs{i}", grace=0)
    for request in hanging:
        assert_reason(client.result(request)["job"], "killed")


@daemon_test
def test_more_launches_that_hang_than_there_are_launchers_delay_no_other_client(daemon, client):
    to = {"file": fifo_of(daemon)}
    hanging = [client.request("job.run", argv=["true"], stdout=to) for i in range(100)]
    procs.eventually(lambda: len(daemon.client().call("job.list", states=["starting"])["jobs"]) >= 32, "many hang")
    other = daemon.client()
    for i in range(20):
        assert text(other.run(["echo", str(i)])) == f"{i}\n"

    def all_are_killed():
        for job in other.call("job.list", states=["starting"])["jobs"]:
            other.call("job.kill", id=job["id"], grace=0)
        return len(other.call("job.list", states=["final"], limit=1000)["jobs"]) == 120
    procs.eventually(all_are_killed, "all are killed")
    for request in hanging:
        assert_reason(client.result(request)["job"], "killed")


@daemon_test
def test_a_launch_killed_before_it_began_does_not_hang(daemon, client):
    to = {"file": fifo_of(daemon)}
    for i in range(30):
        start = client.request("job.start", argv=["true"], stdout=to, name=f"n{i}")
        client.request("job.kill", name=f"n{i}", grace=0)
        assert_reason(client.wait(client.result(start)["job"], limit=10), "killed")


@daemon_test
def test_a_child_stopped_before_its_exec_ends_at_its_deadline(daemon, client):
    hanging = client.request("job.run", argv=["true"], stdout={"file": fifo_of(daemon)}, timeout=1.5, grace=0)
    # The leader, and with a reaper what is about to be one.
    procs.eventually(lambda: procs.children(daemon.worker), "it has been born")
    for child_of_supd in procs.children(daemon.worker):
        for pid in (child_of_supd, *procs.children(child_of_supd)):
            procs.kill(pid, signal.SIGSTOP)
    other = daemon.client()
    for i in range(10):
        assert text(other.run(["echo", str(i)])) == f"{i}\n"
    assert_reason(client.result(hanging)["job"], "timeout")


@daemon_test
def test_a_launch_that_hangs_holds_no_pipe_of_another_job(daemon, client):
    to = {"file": fifo_of(daemon)}
    hanging = [client.request("job.run", argv=["true"], stdout=to) for _ in range(3)]
    others = [client.request("job.run", argv=["echo", "x"]) for _ in range(50)]
    hanging += [client.request("job.run", argv=["true"], stdout=to) for _ in range(3)]
    for request in others:
        assert_reason(client.result(request)["job"], "exited", incomplete=False)
    for job in client.call("job.list", states=["starting"])["jobs"]:
        client.kill(job, grace=0)
    for request in hanging:
        assert_reason(client.result(request)["job"], "killed")
