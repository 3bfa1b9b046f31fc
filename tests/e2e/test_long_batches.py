"""Batches that are a lot of work: they go on turn after turn of the loop, and others are served meanwhile."""

import select
import signal
import socket

import procs
from harness import ANN, BOB, Skip, SystemDaemon, is_sanitized, text

SETS = "any"
MEMBERS, JOBS = 256, 60 if is_sanitized() else 100
MIB = 1 << 20


def batch(client, method="job.list", **params):
    client.send([{"jsonrpc": "2.0", "id": f"m{n:03}", "method": method, "params": params} for n in range(MEMBERS)])


def answered(client):
    return bool(client.buffer or client.batches or select.select([client.socket], [], [], 0)[0])


def answers_of(client):
    while not client.batches:
        client.pump()
    return client.batches.popleft()


def some_jobs(client, count=JOBS):
    for request in [client.request("job.run", argv=["true"]) for _ in range(count)]:
        client.result(request)


def with_a_long_one(function):
    """The daemon, one of Ann's connections with many jobs, and another of hers that has sent a long batch."""
    def test():
        with SystemDaemon() as daemon:
            ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
            some_jobs(ann)
            function(daemon, ann, bob)
    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.__module__ = function.__module__
    return test


def begin(daemon, ann, bob):
    """A long batch of ann's, which is under way once bob, whose request came with it, has his answer."""
    procs.kill(daemon.worker, signal.SIGSTOP)  # so that all of it is there at once
    batch(ann, limit=1000)
    request = bob.request("daemon.info")
    procs.kill(daemon.worker, signal.SIGCONT)
    assert bob.result(request)["name"] == "supd"


@with_a_long_one
def test_others_are_served_meanwhile(daemon, ann, bob):
    begin(daemon, ann, bob)
    assert not answered(ann), "the batch was done first"
    assert text(bob.run(["echo", "served"])) == "served\n"
    answers = answers_of(ann)
    assert sorted(answer["id"] for answer in answers) == [f"m{n:03}" for n in range(MEMBERS)]
    assert all(len(answer["result"]["jobs"]) == JOBS for answer in answers if "result" in answer)


@with_a_long_one
def test_other_connections_of_its_user_are_served_meanwhile(daemon, ann, bob):
    second, third = daemon.client_of(ANN), daemon.client_of(ANN)
    begin(daemon, ann, bob)
    second.send_raw(b" \t[" + b'{"jsonrpc":"2.0","id":"m","method":"daemon.info"}]\n')
    assert text(third.run(["echo", "served"])) == "served\n"
    assert not answered(ann), "the batch was done first"
    assert not answered(second), "two of one user are under way"
    assert len(answers_of(ann)) == MEMBERS
    assert [answer["id"] for answer in answers_of(second)] == ["m"]


@with_a_long_one
def test_the_last_line_of_a_connection_waits_too(daemon, ann, bob):
    second, third = daemon.client_of(ANN), daemon.client_of(ANN)
    begin(daemon, ann, bob)
    second.send_raw(b'[{"jsonrpc":"2.0","id":"m","method":"daemon.info"}]')
    second.socket.shutdown(socket.SHUT_WR)
    assert text(third.run(["echo", "served"])) == "served\n"
    assert not answered(ann), "the batch was done first"
    assert not answered(second), "two of one user are under way"
    assert len(answers_of(ann)) == MEMBERS
    assert [answer["id"] for answer in answers_of(second)] == ["m"]


@with_a_long_one
def test_what_comes_behind_it_is_answered_behind_it(daemon, ann, bob):
    batch(ann)
    late = ann.request("job.run", argv=["echo", "late"])
    assert len(answers_of(ann)) == MEMBERS
    assert text(ann.result(late)["job"]) == "late\n"


@with_a_long_one
def test_whoever_leaves_in_the_middle_leaves_nothing(daemon, ann, bob):
    for _ in range(3):
        with daemon.client_of(ANN) as other:
            batch(other)
        assert text(bob.run(["echo", "served"])) == "served\n"
    procs.eventually(lambda: bob.call("daemon.stats")["clients"]["connected"] == 1, "they are gone")
    batch(ann)
    assert len(answers_of(ann)) == MEMBERS
    procs.eventually(lambda: procs.in_epoll_wait(daemon.worker), "the loop is at rest")


@with_a_long_one
def test_a_worker_that_dies_in_the_middle_closes_the_connection(daemon, ann, bob):
    begin(daemon, ann, bob)
    daemon.kill_worker(at_rest=False)
    ann.expect_closed()
    with daemon.client_of(ANN) as again:
        assert len(again.call("job.list", limit=1000)["jobs"]) == JOBS


@with_a_long_one
def test_the_end_of_the_daemon_finishes_it(daemon, ann, bob):
    root, count = daemon.client(), 100  # whose answers the socket has room for
    members = [{"jsonrpc": "2.0", "id": n, "method": "job.list", "params": {"limit": 1}} for n in range(count)]
    members[10] = {"jsonrpc": "2.0", "id": 10, "method": "daemon.stop"}
    root.send(members)
    assert len(answers_of(root)) == count
    daemon.process.wait()


@with_a_long_one
def test_its_answers_take_what_is_counted(daemon, ann, bob):
    if is_sanitized():
        raise Skip("sanitizers keep memory")
    root = daemon.client()
    some_jobs(ann, 2 * JOBS)
    held = lambda: root.call("daemon.stats")["memory"]["private_bytes"]
    before = most = held()
    batch(ann, limit=1000)
    while not answered(ann):
        most = max(most, held())
    limit = 64 * MIB  # owner_queued_bytes: of text, which grows into twice its room
    assert most < before + 3 * limit, f"{most - before} bytes for one batch"
    answers = answers_of(ann)
    assert sum(len(answer["result"]["jobs"]) for answer in answers if "result" in answer) > MEMBERS * JOBS
    procs.eventually(lambda: held() < before + 8 * MIB, "what it took is given back")
