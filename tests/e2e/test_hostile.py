"""Clients that mean harm: each time the daemon is afterwards what it was, and another client was served all the while."""

import json
import os
import socket
import struct

import procs
from client import Closed
from harness import child, daemon_test, is_sanitized, text

SETS = "any"
MIB = 1 << 20
ROOM = 4 * MIB  # of private memory, that a flood may leave behind for a while


class Steady:
    """The second client, and what the daemon holds before and after."""

    def __init__(self, daemon, client):
        self.daemon, self.client = daemon, client
        self.serve()
        self.descriptors, self.memory = self.held()
        self.children = len(procs.children(daemon.worker))

    def held(self):
        return len(procs.descriptors(self.daemon.worker)), self.client.call("daemon.stats")["memory"]["private_bytes"]

    def serve(self):
        assert text(self.client.run(["echo", "served"])) == "served\n"

    def check(self):
        self.serve()
        procs.eventually(lambda: self.client.call("daemon.stats")["clients"]["connected"] == 1, "the others are gone")
        procs.eventually(lambda: self.held()[0] <= self.descriptors, "their descriptors are closed")
        if not is_sanitized():
            procs.eventually(lambda: self.held()[1] <= self.memory + ROOM, f"memory is given back: {self.memory} was held")
        states = self.client.call("daemon.stats")["jobs"]["by_state"]
        procs.eventually(lambda: len(procs.children(self.daemon.worker)) == self.children, "no process is left over")
        assert sum(count for state, count in states.items() if state != "final") == 0, states


def raw(daemon):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(daemon.socket)
    connection.settimeout(procs.GUARD)
    return connection


def send_all(connection, data):
    """As far as the daemon takes it: it may close the connection."""
    try:
        connection.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def reset(connection):
    """Closed with what came for it unread."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def line(method, id_=None, **params):
    call = {"jsonrpc": "2.0", "method": method, "params": params}
    if id_ is not None:
        call["id"] = id_
    return json.dumps(call).encode() + b"\n"


@daemon_test
def test_garbage_of_all_kinds(daemon, client):
    steady = Steady(daemon, client)
    whole = line("job.run", 1, argv=["true"], stdin={"data": "x" * 100})
    kinds = [os.urandom(3000), b"\0" * 3000, b"\n" * 3000, b"[" * 3000 + b"\n", b'{"' * 3000 + b"\n", b"[[]]\n" * 300,
             b"null\n" * 300, b'"\xff"\n' * 300, whole[:-2] + b"\n", whole.replace(b"2.0", b"9.9"), b"1e999999\n" * 100,
             b'{"jsonrpc":"2.0","id":1,"method":"job.run","params":[]}\n', b"GET / HTTP/1.0\r\n\r\n"]
    kinds += [whole[:at] for at in range(0, len(whole), 7)]
    for kind in kinds:
        with raw(daemon) as connection:
            send_all(connection, kind)
    steady.check()


@daemon_test
def test_200_that_have_begun_a_message_and_say_no_more(daemon, client):
    steady = Steady(daemon, client)
    others = [raw(daemon) for _ in range(200)]
    for number, other in enumerate(others):
        send_all(other, line("job.run", 1, argv=["true"], stdin={"data": "x" * 20000})[:100 + 50 * number])
    steady.serve()
    for other in others:
        other.close()
    steady.check()


@daemon_test
def test_answers_that_nobody_reads(daemon, client):
    steady = Steady(daemon, client)
    job = client.run(child("flood", 900_000), output={"head_bytes": MIB})
    others = [raw(daemon) for _ in range(20)]
    for other in others:
        send_all(other, b"".join(line("job.status", n, id=job["id"], inline_bytes=MIB) for n in range(200)))
    steady.serve()
    for other in others:
        reset(other)
    steady.check()


@daemon_test
def test_20000_notifications(daemon, client):
    steady = Steady(daemon, client)
    with raw(daemon) as other:
        send_all(other, (line("job.status", id=1) + line("no.such") + line("job.start") + line("job.kill", id=1 << 50)) * 5000)
        steady.serve()
        send_all(other, line("daemon.info", 7))
        assert json.loads(other.makefile().readline())["id"] == 7, "none of them was answered"
    steady.check()


@daemon_test
def test_batches_in_floods(daemon, client):
    steady = Steady(daemon, client)
    calls = [("job.status", {"id": 1}), ("job.run", {"argv": ["no-such-program"]}), ("job.wait", {"id": 1 << 50}),
             ("job.list", {"limit": 100}), ("event.subscribe", {}), ("rpc.discover", {}), ("daemon.stats", {})]
    for method, params in calls:
        with raw(daemon) as other:
            batch = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n in range(256)]
            for _ in range(3):
                send_all(other, json.dumps(batch).encode() + b"\n")
            steady.serve()
    steady.check()


@daemon_test
def test_descriptors_with_everything(daemon, client):
    steady = Steady(daemon, client)
    odd = [os.open("/", os.O_PATH), os.open("/dev/null", os.O_RDWR), os.memfd_create("odd"), *os.pipe()]
    for number in range(200):
        with raw(daemon) as other:
            data = line("daemon.info", 1) if number % 2 else line("job.run", 1, argv=["true"], stdin="fd")
            try:
                socket.send_fds(other, [data[:number % 20 + 1]], odd * (number % 7 + 1))
                socket.send_fds(other, [data[number % 20 + 1:]], odd)
            except (BrokenPipeError, ConnectionResetError):
                pass
    for fd in odd:
        os.close(fd)
    steady.check()


@daemon_test
def test_3000_who_come_and_go_at_every_stage(daemon, client):
    steady = Steady(daemon, client)
    whole = line("job.run", 1, argv=["true"]) * 2
    for number in range(3000):
        other = raw(daemon)
        if number % 3:
            send_all(other, whole[:number % len(whole)])
        if number % 5 == 0:
            other.shutdown(socket.SHUT_WR)
        reset(other) if number % 2 else other.close()
    steady.check()


@daemon_test
def test_thousands_of_jobs_that_fail(daemon, client):
    steady = Steady(daemon, client)
    with daemon.client() as other:
        bad = ({"argv": ["no-such-program"]}, {"argv": ["true"], "cwd": "/no/such"}, {"argv": ["/"]}, {"argv": []},
               {"argv": ["true"], "stdout": {"file": "/no/such/file"}}, {"argv": ["true"], "user": "no-such-user"})
        calls = [other.compose("job.start", bad[n % len(bad)]) for n in range(3000)]
        other.send_raw(b"".join(json.dumps(call).encode() + b"\n" for call in calls))
        steady.serve()
        for call in calls:
            other.answer(call["id"])
    client.call("job.forget", final=True)
    steady.check()


@daemon_test
def test_subscribers_who_never_read_while_jobs_flood(daemon, client):
    steady = Steady(daemon, client)
    others = [raw(daemon) for _ in range(20)]
    for other in others:
        send_all(other, line("event.subscribe", 1, since=0) * 20)
    for request in [client.request("job.run", argv=["true"]) for _ in range(500)]:
        client.result(request)
    for other in others:
        reset(other)
    steady.check()


@daemon_test
def test_one_who_holds_a_flood_and_vanishes(daemon, client):
    steady = Steady(daemon, client)
    for _ in range(5):
        other = raw(daemon)
        send_all(other, line("job.run", 1, argv=["yes"], follow=True))
        procs.eventually(lambda: client.call("daemon.stats")["jobs"]["by_state"]["running"] == 1, "it floods")
        steady.serve()
        reset(other)
        procs.eventually(lambda: client.call("daemon.stats")["jobs"]["by_state"]["running"] == 0, "its lease has ended")
    steady.check()


@daemon_test
def test_storms_against_one_job(daemon, client):
    steady = Steady(daemon, client)
    with daemon.client() as one, daemon.client() as two:
        for _ in range(10):
            job = one.start(child("ignore-term"), grace=0)
            pending = []
            for n in range(100):
                for other in (one, two):
                    pending += [(other, other.request("job.lease", id=job["id"])),
                                (other, other.request("job.update", id=job["id"], labels={"n": str(n)})),
                                (other, other.request("job.signal", id=job["id"], signal="SIGUSR1" if n > 98 else "SIGCONT"))]
            pending += [(two, two.request("job.kill", id=job["id"])) for _ in range(50)]
            for other, request in pending:
                other.answer(request)
            assert client.wait(job)["state"] == "final"
    steady.check()


@daemon_test
def test_the_same_key_from_everywhere(daemon, client):
    steady = Steady(daemon, client)
    others = [daemon.client() for _ in range(10)]
    requests = [(other, other.request("job.run", argv=["echo", "once"], key="storm")) for other in others for _ in range(50)]
    ids = {other.result(request)["job"]["id"] for other, request in requests}
    assert len(ids) == 1, ids
    for other in others:
        other.close()
    steady.check()


@daemon_test
def test_thousands_of_waits_for_jobs_that_do_not_end(daemon, client):
    steady = Steady(daemon, client)
    jobs = [client.start(child("sleep", 1000))["id"] for _ in range(10)]
    others = [daemon.client() for _ in range(10)]
    try:
        for other in others:
            for n in range(200):
                other.request("job.wait", ids=jobs, mode="any" if n % 2 else "all", limit=1e6)
        steady.serve()
        for other in others[:5]:
            other.close()
    except (Closed, BrokenPipeError):
        raise AssertionError("a wait too many closes nobody's connection") from None
    client.call("job.kill", ids=jobs, grace=0)
    for other in others[5:]:
        for request in list(other.methods):
            other.answer(request)
        other.close()
    client.call("job.wait", ids=jobs)
    steady.check()


@daemon_test
def test_200_who_send_a_byte_at_a_time(daemon, client):
    steady = Steady(daemon, client)
    whole = line("job.run", 1, argv=["echo", "late"])
    others = [raw(daemon) for _ in range(200)]
    for n in range(len(whole)):
        for other in others:
            other.sendall(whole[n:n + 1])
        if n % 20 == 0:
            steady.serve()
    for other in others:
        with other, other.makefile("rb") as answers:
            job = json.loads(answers.readline())["result"]["job"]
            assert job["result"]["exit_code"] == 0 and text(job) == "late\n", job
    steady.check()


@daemon_test
def test_half_closed_ones_still_have_their_answers(daemon, client):
    steady = Steady(daemon, client)
    others = [raw(daemon) for _ in range(100)]
    for other in others:
        other.sendall(line("daemon.info", 1) + line("job.status", 2, id=1 << 50) + line("job.run", 3, argv=["true"])[:-1])
        other.shutdown(socket.SHUT_WR)
    for other in others:
        with other, other.makefile("rb") as answers:
            got = [json.loads(answers.readline()) for _ in range(2)]
        assert [answer["id"] for answer in got] == [1, 2] and "result" in got[0] and "error" in got[1], got
    steady.check()


@daemon_test
def test_credentials_that_are_sent_are_nobodys(daemon, client):
    """Who asks is who connected, whatever is said of it (unix(7), SCM_CREDENTIALS)."""
    steady = Steady(daemon, client)
    for uid in (0, 1, 65534):
        with raw(daemon) as other, other.makefile("rb") as answers:
            said = struct.pack("iII", os.getpid(), uid, uid)
            data = line("job.run", 1, argv=["true"])
            if os.geteuid() == 0:
                other.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, said)])
            else:
                other.sendall(data)
            assert json.loads(answers.readline())["result"]["job"]["owner"]["uid"] == os.geteuid()
    steady.check()
