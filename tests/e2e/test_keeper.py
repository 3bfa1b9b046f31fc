"""The keeper: what it does when the worker dies, when it dies itself, and how another program takes its place."""

import os
import shutil
import signal

import procs
from client import CONFLICT, UNSUPPORTED
from harness import GUARD, SUPD, Daemon, assert_reason, assert_refused, child, daemon_test, text
from history import at_rest
from recovery import gate, open_gate


@daemon_test
def test_dying_again_and_again_is_said_and_slowed(daemon, client):
    def is_said():  # once they come faster than twice a second, or none gets ready
        before = daemon.worker
        procs.kill(before, signal.SIGKILL)
        procs.eventually(lambda: daemon.worker not in (None, before), "another worker is there")
        return b"dies again and again" in daemon.errors()
    procs.eventually(is_said, "that it is slowed down", seconds=2 * GUARD)
    assert daemon.client().run(["echo", "still"])["result"]["exit_code"] == 0


@daemon_test
def test_the_keepers_end_ends_all_in_order(daemon, client):
    job = client.start(child("sleep", 1000))
    worker = daemon.worker
    daemon.expect_clean = False
    waiting = client.request("job.wait", ids=[job["id"]])
    client.call("daemon.info")  # the answer to the wait is owed: who asks later may find nobody
    procs.kill(daemon.pid, signal.SIGKILL)
    (over,) = client.result(waiting)["jobs"]
    assert_reason(over, "killed", killed_by={"by": "daemon", "uid": None})
    procs.eventually(lambda: not procs.alive(worker), "the worker leaves")
    assert b"the keeper" in daemon.errors() and not os.path.exists(daemon.socket)


@daemon_test
def test_sigterm_stops_even_while_there_is_no_worker(daemon, client):
    client.start(child("sleep", 1000))
    procs.kill(daemon.pid, signal.SIGSTOP)
    procs.kill(daemon.worker, signal.SIGKILL)
    daemon.process.send_signal(signal.SIGTERM)
    procs.kill(daemon.pid, signal.SIGCONT)
    assert daemon.process.wait(GUARD) == 0


@daemon_test
def test_reexec_keeps_everything(daemon, client):
    path = gate(daemon)
    job = client.start(["sh", "-c", f"echo before; read x <{path}; echo after; exit 7"], lease=True)
    waiter, events = daemon.client(), daemon.client()
    wait = waiter.request("job.wait", id=job["id"], inline_bytes=100)
    events.call("event.subscribe")
    half = daemon.client()
    half.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"daem')  # half a line: it is not dropped either
    daemon.client().call("daemon.info")
    keeper, before = daemon.pid, daemon.worker
    answer = client.call("daemon.reexec")
    assert answer["jobs"] == 1 and daemon.pid == keeper and daemon.worker != before
    half.methods[1] = ("daemon.info", {})
    half.send_raw(b'on.info"}\n')
    assert half.result(1)["pid"] == keeper
    open_gate(path)
    over = waiter.result(wait)["jobs"][0]
    assert_reason(over, "exited", exit_code=7)
    assert text(over) == "before\nafter\n"
    client.close()


@daemon_test
def test_a_program_that_would_not_start_is_not_gone_on_with(daemon, client):
    job = client.start(child("sleep", 1000))
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write('{"launchers": 1000}')
    assert_refused(client.refused("daemon.reexec"), CONFLICT)
    assert client.call("job.status", id=job["id"])["job"]["state"] == "running"
    with open(daemon.config, "w", encoding="utf-8") as file:
        file.write("{}")
    assert client.call("daemon.reexec")["jobs"] == 1


def test_reexec_without_a_keeper_is_unsupported():
    with Daemon(["--no-keeper"]) as daemon:
        client = daemon.client()
        assert_refused(client.refused("daemon.reexec"), UNSUPPORTED)
        assert client.run(["true"])["result"]["exit_code"] == 0


@daemon_test
def test_who_comes_after_a_killed_keeper_waits_for_its_worker(daemon, client):
    path = gate(daemon)
    job = client.start(["sh", "-c", f"trap 'read x <{path}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"],
                       grace=1000)
    client.call("job.wait", id=job["id"], until={"text": "ready"})
    at_rest(client)
    worker = daemon.worker
    daemon.expect_clean = False
    procs.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait()
    second = Daemon(directory=daemon.directory)
    second.spawn()
    procs.eventually(lambda: b"waiting for it" in second.errors(), "it says for whom")
    assert procs.alive(worker) and second.process.poll() is None
    open_gate(path)
    procs.eventually(lambda: procs.ended(worker), "the worker is gone")
    with second.connect_once_up() as known:
        assert_reason(known.call("job.status", id=job["id"])["job"], "killed", exit_code=0,
                      killed_by={"by": "daemon", "uid": None})
    assert second.terminate() == 0


@daemon_test
def test_who_waits_for_another_can_be_told_to_stop(daemon, client):
    job = client.start(child("sleep", 1000))
    daemon.expect_clean = False
    worker = daemon.worker
    procs.kill(worker, signal.SIGSTOP)
    procs.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait()
    second = Daemon(directory=daemon.directory)
    second.spawn()
    procs.eventually(lambda: b"waiting for it" in second.errors(), "it says for whom")
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(GUARD) == 1
    procs.kill(worker, signal.SIGCONT)
    procs.eventually(lambda: procs.ended(worker) and not procs.alive(job["pid"]), "the worker ends the job, and leaves")


def test_a_worker_that_hangs_is_replaced():
    daemon = Daemon()
    daemon.environment = dict(os.environ, WATCHDOG_USEC="3000000")
    with daemon:
        client = daemon.client()
        job = client.start(child("sleep", 1000))
        worker = daemon.worker
        procs.kill(worker, signal.SIGSTOP)
        procs.eventually(lambda: daemon.worker not in (None, worker), "another worker is there")
        assert b"has not moved" in daemon.errors()
        assert daemon.client().call("job.status", id=job["id"])["job"]["state"] == "running"


BROKEN = {"a shell script that fails": "#!/bin/sh\nexit 2\n", "no program at all": "\0\1\2",
          "one that hangs": "#!/bin/sh\nexec sleep 1000\n", "empty": ""}


def test_no_program_goes_on_that_cannot():
    daemon = Daemon()
    daemon.program = os.path.join(daemon.directory, "supd")
    os.mkdir(os.path.join(daemon.directory, "os"))
    for name in ("supd", "os/supd-reaper"):
        shutil.copy(os.path.join(os.path.dirname(SUPD), name), os.path.join(daemon.directory, name))

    def install(content):
        with open(daemon.program + ".new", "wb") as file:
            file.write(content)
        os.chmod(daemon.program + ".new", 0o755)
        os.rename(daemon.program + ".new", daemon.program)
    with daemon:
        client = daemon.client()
        job = client.start(child("sleep", 1000))
        with open(daemon.program, "rb") as file:
            sound = file.read()
        for what, content in BROKEN.items():
            install(content.encode())
            assert_refused(client.refused("daemon.reexec"), CONFLICT)
            assert client.call("job.status", id=job["id"])["job"]["state"] == "running", what
        os.unlink(daemon.program)
        assert_refused(client.refused("daemon.reexec"), CONFLICT)
        install(sound)
        assert client.call("daemon.reexec")["jobs"] == 1
        assert client.call("job.status", id=job["id"])["job"]["pid"] == job["pid"]
