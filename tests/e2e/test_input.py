"""stdin as a stream: job.input, its back-pressure and its end."""

import json
import os
import subprocess
import threading

from client import data_of
from harness import (CONFLICT, GUARD, INVALID_PARAMS, LIMIT_REACHED, RpcError, assert_reason, assert_refused, child,
                     daemon_test)


def refused(client, **params):
    try:
        client.call("job.input", **params)
    except RpcError as error:
        return error
    raise AssertionError("taken")


@daemon_test
def test_input_arrives_and_ends(daemon, client):
    job = client.start(["cat"], stdin="stream")
    assert client.call("job.input", id=job["id"], data="hello\n") == {"accepted_bytes": 6}
    assert client.call("job.input", id=job["id"], data="AP8=", encoding="base64", eof=True) == {"accepted_bytes": 2}
    job = client.wait(job, inline_bytes=100)
    assert_reason(job, "exited", exit_code=0)
    assert data_of(job["stdout"]) == b"hello\n\0\xff"


@daemon_test
def test_end_alone(daemon, client):
    job = client.start(["cat"], name="eof", stdin="stream")
    assert client.call("job.input", name="eof", eof=True) == {"accepted_bytes": 0}
    assert_reason(client.wait(job), "exited", exit_code=0)


@daemon_test
def test_input_before_the_leader_runs_is_not_lost(daemon, client):
    requests = [client.request("job.start", argv=["cat"], name="early", stdin="stream"),
                client.request("job.input", name="early", data="x", eof=True)]
    for request in requests:
        client.result(request)
    job = client.call("job.wait", name="early", inline_bytes=10)["jobs"][0]
    assert data_of(job["stdout"]) == b"x"


@daemon_test
def test_order_is_that_of_the_requests(daemon, client):
    job = client.start(["cat"], stdin="stream")
    requests = [client.request("job.input", id=job["id"], data=f"{i}\n", eof=i == 499) for i in range(500)]
    for request in requests:
        client.result(request)
    job = client.wait(job, inline_bytes=4096)
    assert data_of(job["stdout"]) == b"".join(b"%d\n" % i for i in range(500))


@daemon_test
def test_answer_waits_until_the_pipe_took_the_bytes(daemon, client):
    job = client.start(child("sleep", 1000), stdin="stream")
    other = daemon.client()
    other.send({"jsonrpc": "2.0", "id": "in", "method": "job.input", "params": {"id": job["id"], "data": "x" * 1_000_000}})
    for _ in range(3):  # others are served meanwhile
        assert client.status(job)["state"] == "running"
    client.kill(job, grace=0)
    answer = other.recv()
    assert answer["id"] == "in" and answer["error"]["code"] == CONFLICT, answer
    assert 0 < answer["error"]["data"]["accepted_bytes"] < 1_000_000, answer


@daemon_test
def test_more_than_8_mib_waiting_is_refused(daemon, client):
    job = client.start(child("sleep", 1000), stdin="stream")
    other = daemon.client()
    for i in range(2):
        other.send({"jsonrpc": "2.0", "id": i, "method": "job.input", "params": {"id": job["id"], "data": "x" * 5_000_000}})
    answer = other.recv()
    assert answer["id"] == 1 and answer["error"]["code"] == LIMIT_REACHED, answer
    assert answer["error"]["data"]["limit"] == "input_bytes"


@daemon_test
def test_what_is_refused(daemon, client):
    job = client.start(["cat"], stdin="stream")
    assert_refused(refused(client, id=job["id"]), INVALID_PARAMS, "data")
    assert_refused(refused(client, id=job["id"], data="%", encoding="base64"), INVALID_PARAMS, "data")
    assert_refused(refused(client, id=client.start(child("sleep", 1000))["id"], data="x"), CONFLICT)
    client.call("job.input", id=job["id"], eof=True)
    error = refused(client, id=job["id"], data="late")
    assert error.code == CONFLICT and error.data["accepted_bytes"] == 0, error


@daemon_test
def test_a_child_that_closed_its_stdin(daemon, client):
    job = client.start(["sh", "-c", "exec <&-; echo closed; sleep 1000"], stdin="stream")
    client.wait_text(job, "closed\n")
    error = refused(client, id=job["id"], data="x")
    assert error.code == CONFLICT and error.data["accepted_bytes"] == 0, error
    assert client.status(job)["state"] == "running"


@daemon_test
def test_bytes_of_a_client_that_left_are_delivered(daemon, client):
    job = client.start(["cat"], stdin="stream")
    other = daemon.client()
    other.send({"jsonrpc": "2.0", "id": 1, "method": "job.input", "params": {"id": job["id"], "data": "bye", "eof": True}})
    other.close()
    job = client.wait(job, inline_bytes=10)
    assert data_of(job["stdout"]) == b"bye"


@daemon_test
def test_64_mib_there_and_back(daemon, client):
    """supctl run feeds a pipe and passes on what comes back, byte for byte."""
    data = os.urandom(1 << 20) * 64
    process = daemon.supctl_start("run", "--", "cat", stdin=subprocess.PIPE)
    writer = threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close()))
    writer.start()
    got = process.stdout.read()
    writer.join()
    assert process.wait() == 0 and got == data, (len(got), process.stderr.read())


@daemon_test
def test_run_does_not_wait_for_stdin_once_the_job_is_over(daemon, client):
    process = daemon.supctl_start("run", "--", *child("exit", 5), stdin=subprocess.PIPE)
    assert process.wait(30) == 5
    process.stdin.close()


@daemon_test
def test_run_feeds_what_comes_while_the_job_runs(daemon, client):
    process = daemon.supctl_start("run", "--", "cat", stdin=subprocess.PIPE)
    for word in (b"one\n", b"two\n"):
        process.stdin.write(word)
        process.stdin.flush()
        assert process.stdout.readline() == word
    process.stdin.close()
    assert process.wait(30) == 0


@daemon_test
def test_send_prints_what_was_taken(daemon, client):
    job = client.start(["cat"], stdin="stream", stdout="null")
    assert json.loads(daemon.supctl("send", "--json", job["id"], "words").stdout) == {"accepted_bytes": 6}
    assert json.loads(daemon.supctl("send", "--json", "--eof", job["id"]).stdout) == {"accepted_bytes": 0}
    client.wait(job)
    done = daemon.supctl("send", job["id"], "more")
    assert done.returncode == 1 and b"0 bytes were taken" in done.stderr, done


@daemon_test
def test_send(daemon, client):
    job = client.start(["cat"], name="reader", stdin="stream")
    assert daemon.supctl("send", "reader", "hello", "world").returncode == 0
    assert daemon.supctl("send", "--eof", job["id"], input=b"\xffrest").returncode == 0
    job = client.wait(job, inline_bytes=100)
    assert data_of(job["stdout"]) == b"hello world\n\xffrest"
    done = daemon.supctl("send", job["id"], "late")
    assert done.returncode == 1 and done.stderr.startswith(b"supctl: "), done
    assert daemon.supctl("send").returncode == 2


@daemon_test
def test_supctl_send_stays_with_the_job_that_it_found(daemon, client):
    first = client.start(["cat"], name="named", stdin="stream")
    process = daemon.supctl_start("send", "named", stdin=subprocess.PIPE)
    os.write(process.stdin.fileno(), b"one\n")
    client.wait_text(first, "one\n")
    client.kill_and_wait(first)
    second = client.start(["cat"], name="named", stdin="stream")
    _, said = process.communicate(b"two\n", timeout=GUARD)
    assert process.returncode == 1 and said.startswith(b"supctl: named: "), said
    client.call("job.input", id=second["id"], eof=True)
    assert client.wait(second)["stdout"]["bytes"] == 0
