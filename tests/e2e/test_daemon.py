"""The daemon itself: what it says of itself, starting, being second, ending."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import time

import procs
from client import Client
from harness import (GUARD, SETTINGS, SHUTTING_DOWN, SUPD, Closed, Daemon, assert_reason, assert_refused, child,
                     daemon_test, needs_root, text)


@daemon_test
def test_info(daemon, client):
    info = client.call("daemon.info")
    assert info["name"] == "supd" and info["protocol"] == 1 and info["version"]
    assert info["pid"] == daemon.pid and info["uid"] == os.getuid()
    assert abs(info["started_at"] - time.time()) < 60
    assert info["socket"] == daemon.socket
    limits = info["limits"]
    assert limits["max_request_bytes"] == limits["input_bytes"] == 8 << 20 and limits["records"] == 131072, limits
    assert limits["descriptors"] == resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE)[0], limits
    for name in ("tree", "spawn"):
        if SETTINGS.get(name, "auto") != "auto":
            assert info["capabilities"][name] == SETTINGS[name], info["capabilities"]


@daemon_test
def test_stats_count(daemon, client):
    client.run(child("lines", 3))
    client.run(child("exit", 1))
    client.run(["/nonexistent/program"])
    live = client.start(child("sleep", 1000))
    stats = client.call("daemon.stats")
    assert stats["jobs"]["accepted"] == 4
    assert stats["jobs"]["by_reason"]["exited"] == 2 and stats["jobs"]["by_reason"]["spawn_failed"] == 1
    assert stats["jobs"]["by_state"]["running"] == 1 and stats["jobs"]["by_state"]["final"] == 3
    assert stats["output"]["captured_bytes"] == 21
    assert stats["launch"]["count"] == 3 and stats["launch"]["failed"] == 1
    assert 0 < stats["launch"]["mean"] <= stats["launch"]["max"] < 60
    assert stats["clients"]["connected"] >= 1 and stats["clients"]["requests"] >= 5
    assert stats["memory"]["rss_bytes"] > 100_000 and stats["uptime"] > 0
    client.kill_and_wait(live)
    assert client.call("daemon.stats")["jobs"]["by_reason"]["killed"] == 1


@daemon_test
def test_discover_is_an_openrpc_document_and_describe_prints_the_same(daemon, client):
    document = client.call("rpc.discover")
    assert document["openrpc"].startswith("1.") and document["info"]["title"] and document["info"]["version"]
    names = [method["name"] for method in document["methods"]]
    assert len(names) == len(set(names))
    assert {"job.run", "job.start", "job.wait", "job.status", "job.list", "job.kill", "job.signal", "job.output",
            "job.forget", "daemon.info", "daemon.stats", "daemon.stop", "rpc.discover"} <= set(names)
    for method in document["methods"]:
        assert method["paramStructure"] == "by-name" and "schema" in method["result"], method["name"]
        for param in method["params"]:
            assert param["name"] and "schema" in param, (method["name"], param)
    printed = subprocess.run([SUPD, "--describe"], capture_output=True, timeout=GUARD, check=True)
    assert json.loads(printed.stdout) == document


def test_version_is_the_one_of_info():
    with Daemon() as daemon:
        printed = subprocess.run([SUPD, "--version"], capture_output=True, timeout=GUARD, check=True).stdout
        assert daemon.client().call("daemon.info")["version"] in printed.decode()


def test_wrong_options_are_refused():
    for words in (["--no-such-option"], ["--socket"], ["--set", "tree=nonsense"], ["--set", "nonsense=1"], ["x"]):
        done = subprocess.run([SUPD, "--user", *words], capture_output=True, timeout=GUARD)
        assert done.returncode not in (0, -6, -11) and done.stderr, (words, done)


def test_wrong_config_is_refused():
    with Daemon() as daemon:
        for content in ("{", "[]", '{"tree": "nonsense"}', '{"no_such_setting": 1}'):
            path = os.path.join(daemon.directory, "wrong.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            done = subprocess.run([SUPD, "--user", "--socket", daemon.directory + "/x/socket", "--runtime-dir",
                                   daemon.directory + "/x", "--state-dir", daemon.directory + "/y", "--config", path],
                                  capture_output=True, timeout=GUARD)
            assert done.returncode > 0 and b"wrong.json" in done.stderr, (content, done)


@daemon_test
def test_directory_of_the_socket_is_the_users_alone(daemon, client):
    assert stat.S_IMODE(os.stat(daemon.run).st_mode) == 0o700
    assert stat.S_ISSOCK(os.stat(daemon.socket).st_mode)


@daemon_test
def test_second_daemon_is_refused_and_names_the_first(daemon, client):
    second = Daemon(directory=daemon.directory)
    assert second.spawn().wait(GUARD) not in (0, -6, -11)
    assert str(daemon.pid).encode() in second.errors(), second.errors()
    assert client.call("daemon.info")["pid"] == daemon.pid
    third = Daemon(directory=daemon.directory)
    third.run = daemon.directory + "/other"
    third.socket = third.run + "/socket"
    assert third.spawn().wait(GUARD) not in (0, -6, -11)
    assert str(daemon.pid).encode() in third.errors(), third.errors()
    assert text(client.run(["echo", "there"])) == "there\n"


def test_stale_socket_is_replaced():
    with Daemon(expect_clean=False) as first:
        first.destroy()
        assert os.path.exists(first.socket)
        with Daemon(directory=first.directory) as second:
            assert second.client().call("daemon.info")["pid"] == second.pid


def test_socket_that_nobody_listens_on_is_replaced():
    with Daemon() as first:
        first.terminate()
        os.makedirs(first.run, mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(first.socket)
        with Daemon(directory=first.directory) as second:
            assert second.client().call("daemon.info")["pid"] == second.pid


@daemon_test
def test_sigterm_ends_jobs_then_the_daemon(daemon, client):
    token = f"token-{daemon.pid}"
    quick = client.request("job.run", argv=child("sleep", 1000, token))
    slow = client.request("job.run", argv=child("ignore-term", token), grace=0.3, name="slow")
    client.call("job.wait", ids=[client.call("job.status", name="slow")["job"]["id"]],
                until={"stream": "stdout", "text": "ready\n"})
    procs.eventually(lambda: len(procs.with_argument(token)) >= 2, "both run")
    assert daemon.terminate() == 0
    for request, name in ((quick, "SIGTERM"), (slow, "SIGKILL")):
        job = client.result(request)["job"]
        assert_reason(job, "killed", signal=name)
        assert job["result"]["killed_by"]["by"] == "daemon"
    assert procs.with_argument(token) == []
    client.expect_closed()
    assert not os.path.exists(daemon.socket)


@daemon_test
def test_sigint_is_the_same(daemon, client):
    client.start(child("sleep", 1000))
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(GUARD) == 0


@daemon_test
def test_stop_by_a_client(daemon, client):
    job = client.start(child("ignore-term"), grace=0.3)
    client.wait_text(job, "ready\n")
    waiting = client.request("job.wait", ids=[job["id"]])
    assert client.call("daemon.stop") == {}
    assert_reason(client.result(waiting)["jobs"][0], "killed", signal="SIGKILL")
    assert daemon.process.wait(GUARD) == 0


@daemon_test
def test_no_new_work_while_stopping(daemon, client):
    job = client.start(child("ignore-term"), grace=20)
    client.wait_text(job, "ready\n")
    client.call("daemon.stop")
    assert_refused(client.refused("job.start", argv=["true"]), SHUTTING_DOWN)
    assert_refused(client.refused("job.run", argv=["true"]), SHUTTING_DOWN)
    assert client.status(job)["state"] == "stopping"
    client.kill(job, grace=0)
    assert daemon.process.wait(GUARD) == 0


@daemon_test
def test_sigterm_twice_is_no_trouble(daemon, client):
    client.start(child("ignore-term"), grace=0.5)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(GUARD) == 0


@daemon_test
def test_idle_end_leaves_no_files(daemon, client):
    client.run(child("lines", 5))
    assert daemon.terminate() == 0
    left = [name for _, _, files in os.walk(daemon.run) for name in files if not name.endswith((".lock", ".pid"))]
    assert left == [], left


def as_nobody(check):
    """Runs `check` as another user in a child. Returns what it returned, as text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            answer = check()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, str(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


@daemon_test
def test_another_user_cannot_reach_the_socket(daemon, client):
    needs_root()
    os.chmod(daemon.directory, 0o755)

    def connect():
        Client(daemon.socket)
        return "connected"
    assert as_nobody(connect).startswith("PermissionError")


@daemon_test
def test_another_user_who_reaches_the_socket_is_refused_and_closed(daemon, client):
    needs_root()
    for path in (daemon.directory, daemon.run):
        os.chmod(path, 0o755)

    def ask():
        other = Client(daemon.socket)
        try:
            other.send({"jsonrpc": "2.0", "id": 1, "method": "daemon.info"})
        except BrokenPipeError:
            pass
        try:
            message = json.loads(other.read_line())
            other.expect_closed()
        except Closed as end:
            return f"closed without a word: {end}"
        return f"{message['error']['code']} {message['error']['data']['name']}"
    assert as_nobody(ask) == "2 permission_denied"
    assert client.call("daemon.info")["pid"] == daemon.pid
    assert client.call("daemon.stats")["clients"]["refused"] == 1
