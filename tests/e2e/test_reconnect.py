"""supctl run when its connection is lost and the daemon lives."""

import json
import os
import signal
import socket
import subprocess
import threading

import procs
from client import data_of
from harness import GUARD, child, daemon_test

SETS = "any"


class Relay:
    """Stands between supctl and the daemon. cut() ends supctl's side of every connection; the daemon's side stays
    until keep() lets go of it, so that its lease goes when the test says."""

    def __init__(self, daemon, descriptors=True):
        self.daemon = daemon
        self.descriptors = descriptors  # whether they are passed on; what goes over a network passes none
        self.path = os.path.join(daemon.directory, "relay")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.near, self.far = [], []
        self.slammed = 0  # so many connections are cut once something came over them
        self.answered = []  # connections over which the daemon has said something
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.slammed > 0:
                near.recv(1)
                self.slammed -= 1
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.daemon.socket)
            self.near.append(near)
            self.far.append(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        try:
            while True:
                data, fds, _flags, _address = socket.recv_fds(source, 65536, 16)
                if not data:
                    return
                sent = socket.send_fds(sink, [data], fds if self.descriptors else [])
                sink.sendall(data[sent:])
                for fd in fds:
                    os.close(fd)
                if source in self.far and source not in self.answered:
                    self.answered.append(source)
        except OSError:
            pass

    def cut(self):
        present, self.near = self.near, []  # supctl is back at once, by another connection
        for near in present:
            near.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
        for far in self.far:
            far.close()


def run(daemon, relay, *words, **more):
    return supctl(daemon, relay, "run", *words, **more)


def supctl(daemon, relay, *words, **more):
    words = daemon.supctl_words(*words)
    words[words.index(daemon.socket)] = relay.path
    return subprocess.Popen(words, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **more)


def client_bytes(client, job):
    answer = client.call("job.output", id=job["id"], stream="stdout", limit_bytes=4 << 20)
    return b"".join(data_of(chunk) for chunk in answer["chunks"])


def live(client):
    jobs = client.call("job.list", states=["running"])["jobs"]
    return jobs[0] if jobs else None


@daemon_test
def test_goes_on_without_a_byte_lost_or_doubled(daemon, client):
    relay = Relay(daemon)
    go = os.path.join(daemon.directory, "go")
    os.mkfifo(go)
    process = run(daemon, relay, "--", "sh", "-c", f"seq 1 5000; cat {go}; seq 5001 90000; exit 5")
    job = procs.eventually(lambda: live(client), "the job runs")
    procs.eventually(lambda: relay.answered, "supctl has been told of it")
    for _ in range(3):
        procs.eventually(lambda: relay.near, "supctl is connected")
        relay.cut()
    procs.eventually(lambda: len(relay.far) >= 4, "supctl is connected again")
    with open(go, "w", encoding="utf-8"):
        pass
    out, err = process.communicate(timeout=GUARD)
    relay.close()
    assert out.split() == [b"%d" % i for i in range(1, 90001)], (len(out), out[-100:])
    assert process.returncode == 5 and err == b"", (process.returncode, err)
    assert client.status(job)["result"]["exit_code"] == 5


@daemon_test
def test_where_no_descriptors_pass_it_goes_by_chunks(daemon, client):
    relay = Relay(daemon, descriptors=False)
    process = run(daemon, relay, "--", "sh", "-c", "seq 1 300000; seq 1 10 >&2; exit 6")
    out, err = process.communicate(timeout=GUARD)
    assert out.split() == [b"%d" % i for i in range(1, 300001)], (len(out), out[-100:])
    assert process.returncode == 6 and err.split() == [b"%d" % i for i in range(1, 11)], (process.returncode, err)
    process = run(daemon, relay, "--", "wc", "-c", stdin=subprocess.PIPE)
    assert process.communicate(b"x" * 300_000, timeout=GUARD)[0] == b"300000\n", "stdin is fed instead"
    process = run(daemon, relay, "--pipe", "--", "true")
    assert b"descriptors must come" in process.communicate(timeout=GUARD)[1]
    job = client.run(["seq", "1", "300000"])
    words = daemon.supctl_words("logs", job["id"])
    words[words.index(daemon.socket)] = relay.path
    done = subprocess.run(words, capture_output=True, timeout=GUARD, check=False)
    assert done.stdout == client_bytes(client, job)
    relay.close()


@daemon_test
def test_what_was_told_and_not_written_yet_is_not_lost(daemon, client):
    relay = Relay(daemon)
    process = run(daemon, relay, "--", "seq", "1", "1000000")
    job = procs.eventually(lambda: live(client), "the job runs")
    until = [0]

    def stands():
        before, until[0] = until[0], client.status(job)["stdout"]["bytes"]
        return before == until[0] > 1_000_000

    procs.eventually(stands, "nobody reads what supctl writes: all is full")
    relay.cut()
    out, err = process.communicate(timeout=GUARD)
    relay.close()
    assert out.split() == [b"%d" % i for i in range(1, 1000001)], (len(out), out[-100:], err)


@daemon_test
def test_the_lease_is_taken_along(daemon, client):
    relay = Relay(daemon)
    process = run(daemon, relay, "--", *child("sleep", 1000))
    job = procs.eventually(lambda: live(client), "the job runs")
    procs.eventually(lambda: relay.answered, "supctl has been told of it")
    relay.cut()
    procs.eventually(lambda: len(relay.answered) == 2, "supctl has its lease again")
    relay.far[0].shutdown(socket.SHUT_RDWR)  # the first connection's lease means nothing any more
    procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] == 2,
                     "the first connection is gone")
    assert client.status(job)["state"] == "running"
    process.kill()
    process.communicate()
    relay.far[1].shutdown(socket.SHUT_RDWR)
    relay.close()
    assert client.wait(job)["result"]["killed_by"]["by"] == "lease"


@daemon_test
def test_whoever_prints_the_record_alone_goes_on_too_and_forwards_signals(daemon, client):
    relay = Relay(daemon)
    process = run(daemon, relay, "--json", "--", *child("signals", 9))
    job = procs.eventually(lambda: live(client), "the job runs")
    client.wait_text(job, "ready\n")
    procs.eventually(lambda: relay.answered, "supctl has been told of it")
    relay.cut()
    procs.eventually(lambda: len(relay.answered) == 2, "supctl has its lease again")
    for number in (signal.SIGUSR1, signal.SIGTERM):
        process.send_signal(number)
        client.wait_text(job, number.name + "\n")
    out, err = process.communicate(timeout=GUARD)
    relay.close()
    assert process.returncode == 9 and err == b"", (process.returncode, err)
    record, = map(json.loads, out.splitlines())
    assert record["stdout"]["data"] == "ready\nSIGUSR1\nSIGTERM\n", record


@daemon_test
def test_a_job_that_ended_meanwhile_is_told(daemon, client):
    relay = Relay(daemon)
    process = run(daemon, relay, "--", *child("sleep", 1000))
    job = procs.eventually(lambda: live(client), "the job runs")
    procs.eventually(lambda: relay.answered, "supctl has been told of it")
    relay.listener.shutdown(socket.SHUT_RDWR)
    relay.cut()
    client.kill(job, grace=0)
    client.wait(job)
    os.unlink(relay.path)
    os.symlink(daemon.socket, relay.path)
    process.communicate(timeout=GUARD)
    assert process.returncode == 137
    relay.far[0].shutdown(socket.SHUT_RDWR)


@daemon_test
def test_input_on_its_way_is_not_given_twice(daemon, client):
    relay = Relay(daemon)
    process = run(daemon, relay, "--stdin", "stream", "--", "sh", "-c", "sleep 1000; cat", stdin=subprocess.PIPE)
    procs.eventually(lambda: live(client), "the job runs")
    process.stdin.write(b"x" * 150_000)  # more than the pipes of supctl and of the job hold: a call is on its way
    process.stdin.flush()
    relay.cut()
    line = process.stderr.readline()
    assert b"input was on its way" in line, line
    process.kill()
    process.stdin.close()
    process.wait()
    relay.close()


@daemon_test
def test_logs_and_events_go_on_from_where_they_were(daemon, client):
    relay = Relay(daemon)
    job = client.start(["cat"], stdin="stream")
    client.call("job.input", id=job["id"], data="one\n")
    logs = supctl(daemon, relay, "logs", "-f", job["id"])
    events = supctl(daemon, relay, "events", "--since", 0)
    assert logs.stdout.readline() == b"one\n" and b"job.started" in events.stdout.readline()
    relay.slammed = 3  # whoever comes back first is cut off again at once
    relay.cut()
    procs.eventually(lambda: relay.slammed == 0, "they have come back again and again")
    client.call("job.input", id=job["id"], data="two\n", eof=True)
    client.wait(job)
    shown = logs.communicate(timeout=GUARD)
    assert (*shown, logs.returncode) == (b"two\n", b"", 0), (shown, logs.returncode)
    line = events.stdout.readline().split()
    assert line[2:5] == [b"2", b"job.final", b"1"], line
    events.kill()
    events.communicate()
    relay.close()


@daemon_test
def test_wait_goes_on(daemon, client):
    relay = Relay(daemon)
    job = client.start(child("sleep", 1000))
    waits = supctl(daemon, relay, "wait", "--limit", "1h", job["id"])
    limited = supctl(daemon, relay, "wait", "--limit", "1s", job["id"])
    procs.eventually(lambda: len(relay.near) == 2, "they are connected")
    relay.slammed = 2
    relay.cut()
    procs.eventually(lambda: relay.slammed == 0, "they have come back")
    assert limited.wait(GUARD) == 124 and b"the limit has passed" in limited.communicate()[1]
    client.kill(job, grace=0)
    shown = waits.communicate(timeout=GUARD)
    relay.close()
    assert (*shown, waits.returncode) == (b"", b"", 137), (shown, waits.returncode)
