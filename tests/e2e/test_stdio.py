"""Where stdout and stderr go: captured, nowhere, into files, merged."""

import os
import stat

from client import data_of
from harness import assert_reason, child, daemon_test, text


def content(path):
    with open(path, "rb") as file:
        return file.read()


@daemon_test
def test_streams_stay_apart(daemon, client):
    job = client.run(child("both", 3))
    assert text(job) == "out 0\nout 1\nout 2\n"
    assert text(job, "stderr") == "err 0\nerr 1\nerr 2\n"
    for name in ("stdout", "stderr"):
        assert job[name]["bytes"] == 18 and job[name]["eof"] is True and job[name]["gaps"] == []


@daemon_test
def test_merged_stderr_keeps_the_order(daemon, client):
    job = client.run(child("both", 3), stderr="stdout")
    assert text(job) == "out 0\nerr 0\nout 1\nerr 1\nout 2\nerr 2\n"
    assert job["stderr"]["bytes"] == 0 and job["stderr"]["eof"] is True


@daemon_test
def test_null_discards(daemon, client):
    job = client.run(child("both", 3), stdout="null")
    assert job["stdout"]["bytes"] == 0 and text(job, "stderr") == "err 0\nerr 1\nerr 2\n"
    job = client.run(child("both", 3), stdout="null", stderr="stdout")
    assert job["stdout"]["bytes"] == 0 and job["stderr"]["bytes"] == 0
    assert "2 /dev/null" in text(client.run(child("fds"), stderr="null")).splitlines()
    assert_reason(client.run(child("flood", 10_000_000), stdout="null", stderr="null"), "exited", exit_code=0)


@daemon_test
def test_file_is_made_and_replaced(daemon, client):
    path = os.path.join(daemon.directory, "out")
    with open(path, "wb") as file:
        file.write(b"older and longer than what comes\n")
    job = client.run(child("lines", 2), stdout={"file": path})
    assert content(path) == b"line 1\nline 2\n" and job["stdout"]["bytes"] == 0
    assert job["stdout"]["eof"] is True


@daemon_test
def test_file_is_made_with_the_jobs_umask(daemon, client):
    path = os.path.join(daemon.directory, "out")
    client.run(child("lines", 1), stdout={"file": path}, umask="027")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640, oct(os.stat(path).st_mode)


@daemon_test
def test_file_is_appended_to(daemon, client):
    path = os.path.join(daemon.directory, "out")
    for _ in range(2):
        client.run(child("lines", 2), stdout={"file": path, "append": True})
    assert content(path) == b"line 1\nline 2\n" * 2


@daemon_test
def test_file_in_the_jobs_cwd(daemon, client):
    client.run(child("lines", 1), stdout={"file": "here"}, cwd=daemon.directory)
    assert content(os.path.join(daemon.directory, "here")) == b"line 1\n"


@daemon_test
def test_both_streams_in_files_and_in_one(daemon, client):
    out, err = (os.path.join(daemon.directory, name) for name in ("out", "err"))
    client.run(child("both", 2), stdout={"file": out}, stderr={"file": err})
    assert (content(out), content(err)) == (b"out 0\nout 1\n", b"err 0\nerr 1\n")
    client.run(child("both", 2), stdout={"file": out}, stderr="stdout")
    assert content(out) == b"out 0\nerr 0\nout 1\nerr 1\n"


@daemon_test
def test_stderr_captured_beside_a_file(daemon, client):
    out = os.path.join(daemon.directory, "out")
    job = client.run(child("both", 2), stdout={"file": out})
    assert content(out) == b"out 0\nout 1\n" and data_of(job["stderr"]) == b"err 0\nerr 1\n"
