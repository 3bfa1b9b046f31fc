"""A terminal for a job."""

import os
import sys

import procs
from client import CONFLICT, INVALID_PARAMS
from harness import assert_reason, assert_refused, child, daemon_test, text
from terminal import SIZE_ONCE_RESIZED

PTY = {"rows": 30, "cols": 101}


def sh(line):
    return ["sh", "-c", line]


def python(line):
    return [sys.executable, "-c", line]


@daemon_test
def test_all_three_streams_are_one_terminal(daemon, client):
    job = client.run(sh("test -t 0 && test -t 1 && test -t 2 && echo all; echo error >&2; stty size; tty"), pty=PTY)
    assert_reason(job, "exited", exit_code=0)
    lines = text(job).splitlines()
    assert lines[:3] == ["all", "error", "30 101"] and lines[3].startswith("/dev/pts/"), lines
    assert "\r\n" in text(job)
    assert job["stderr"] == {"bytes": 0, "gaps": [], "eof": True, "data": "", "encoding": "utf-8"}, job["stderr"]


@daemon_test
def test_it_is_the_controlling_terminal_of_its_session(daemon, client):
    program = "import os; fd = os.open('/dev/tty', os.O_RDWR); print(os.tcgetpgrp(fd) == os.getpgrp() == os.getpid())"
    assert text(client.run(python(program), pty={})) == "True\r\n"


@daemon_test
def test_size_and_term_by_default(daemon, client):
    assert text(client.run(sh("stty size; echo $TERM"), pty={})) == "24 80\r\nxterm\r\n"
    assert text(client.run(sh("echo $TERM"), pty={}, env={"TERM": "vt100"})) == "vt100\r\n"
    assert text(client.run(sh("echo $TERM"), pty={"term": "linux"}, env={"TERM": "vt100"})) == "linux\r\n"


@daemon_test
def test_input_is_typed(daemon, client):
    job = client.start(sh("read line; echo got $line; cat; echo over"), pty=PTY)
    assert client.call("job.input", id=job["id"], data="hello\n")["accepted_bytes"] == 6
    client.wait_text(job, "got hello")
    assert client.call("job.input", id=job["id"], data="half a line", eof=True)["accepted_bytes"] == 11
    done = client.wait(job, inline_bytes=1000)
    assert_reason(done, "exited", exit_code=0)
    assert text(done).endswith("half a lineover\r\n") or text(done).endswith("half a linehalf a lineover\r\n"), text(done)


@daemon_test
def test_after_an_end_of_file_more_can_be_typed(daemon, client):
    job = client.start(sh("cat; echo one; cat; echo two"), pty=PTY)
    client.call("job.input", id=job["id"], eof=True)
    client.wait_text(job, "one")
    client.call("job.input", id=job["id"], data="x\n", eof=True)
    assert_reason(client.wait(job), "exited", exit_code=0)


@daemon_test
def test_control_characters_are_signals(daemon, client):
    job = client.start(child("signals"), pty=PTY)
    client.wait_text(job, "ready")
    for key, name in (("\x03", "SIGINT"), ("\x1c", "SIGQUIT")):
        client.call("job.input", id=job["id"], data=key)
        client.wait_text(job, name)


@daemon_test
def test_resize_is_told(daemon, client):
    job = client.start(python(SIZE_ONCE_RESIZED), pty=PTY)
    client.wait_text(job, "ready")
    assert client.call("job.resize", id=job["id"], rows=50, cols=132) == {}
    done = client.wait(job, inline_bytes=1000)
    assert "50 132" in text(done), text(done)
    error = client.refused("job.resize", id=job["id"], rows=50, cols=132)
    assert_refused(error, CONFLICT)


@daemon_test
def test_resize_without_a_terminal_is_refused(daemon, client):
    job = client.start(child("sleep", 1000))
    error = client.refused("job.resize", id=job["id"], rows=5, cols=5)
    assert_refused(error, CONFLICT)
    assert "no terminal" in str(error)
    assert_refused(client.refused("job.resize", id=job["id"], rows=0, cols=5), INVALID_PARAMS, "rows")
    assert_refused(client.refused("job.resize", id=job["id"], rows=5), INVALID_PARAMS, "cols")


@daemon_test
def test_other_streams_do_not_go_with_it(daemon, client):
    for field, value in {"stdin": {"data": "x"}, "stdout": "null", "stderr": {"file": "/dev/null"}}.items():
        assert_refused(client.refused("job.start", argv=["true"], pty=PTY, **{field: value}), INVALID_PARAMS, field)
    assert_refused(client.refused("job.start", argv=["true"], pty={"rows": 70000}), INVALID_PARAMS, "pty.rows")
    assert_reason(client.run(["true"], pty=PTY, stdin="stream", stderr="stdout"), "exited", exit_code=0)


@daemon_test
def test_the_terminal_hangs_up_with_the_job(daemon, client):
    # In the background of the leader's session: SIGHUP comes when the session's leader ends.
    job = client.run(sh("sleep 1000 & echo $!"), pty=PTY, descendants="wait", timeout=60)
    assert_reason(job, "exited", exit_code=0)


@daemon_test
def test_what_is_printed_last_is_kept(daemon, client):
    for _ in range(20):
        job = client.run(sh("seq 1 2000"), pty=PTY)
        assert text(job).split() == [str(i) for i in range(1, 2001)], job["stdout"]


@daemon_test
def test_a_reader_that_sleeps_bounds_what_is_typed(daemon, client):
    job = client.start(child("sleep", 1000), pty=PTY)
    other = daemon.client()
    other.send({"jsonrpc": "2.0", "id": 1, "method": "job.input",
                "params": {"id": job["id"], "data": "line\n" * 100_000}})
    assert client.status(job)["state"] == "running"
    client.kill(job, grace=0)
    answer = other.recv()
    assert answer["error"]["code"] == CONFLICT and answer["error"]["data"]["accepted_bytes"] < 500_000, answer


@daemon_test
def test_no_descriptor_stays(daemon, client):
    client.run(["true"], pty=PTY)
    before = len(procs.descriptors(daemon.worker))
    for _ in range(30):
        client.run(["true"], pty=PTY)
        client.run(["/nonexistent"], pty=PTY)
    assert len(procs.descriptors(daemon.worker)) <= before + 1


@daemon_test
def test_kill_ends_a_shell_that_ignores_the_signal(daemon, client):
    job = client.start(["bash", "-i"], pty=PTY, stop_signal="SIGHUP")
    client.call("job.input", id=job["id"], data="echo up$((1+1))\n")
    client.wait_text(job, "up2")
    client.kill(job)
    assert_reason(client.wait(job), "killed")
