"""Descriptors beside requests and answers."""

import hashlib
import os
import socket
import tempfile

import procs
from client import CONFLICT, INVALID_PARAMS, RpcError
from harness import assert_reason, assert_refused, child, daemon_test, text


def open_fds(daemon):
    return len(procs.descriptors(daemon.worker))


class Pipe:
    def __init__(self):
        self.reader, self.writer = os.pipe()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for fd in (self.reader, self.writer):
            if fd >= 0:
                os.close(fd)

    def close_writer(self):
        os.close(self.writer)
        self.writer = -1

    def read_all(self):
        """To the end: every other writing end must be closed by now, or will be."""
        data = b""
        while piece := os.read(self.reader, 65536):
            data += piece
        return data


@daemon_test
def test_all_three_are_the_callers(daemon, client):
    with Pipe() as given, Pipe() as out, Pipe() as err:
        os.write(given.writer, b"question\n")
        request = client.request_with([given.reader, out.writer, err.writer], "job.run",
                                      argv=["sh", "-c", "read a; echo got $a; echo error >&2"],
                                      stdin="fd", stdout="fd", stderr="fd")
        out.close_writer()
        err.close_writer()
        assert out.read_all() == b"got question\n" and err.read_all() == b"error\n"
        job = client.result(request)["job"]
        assert_reason(job, "exited", exit_code=0)
        assert job["stdout"]["bytes"] == 0 and job["stdout"]["eof"] and job["stderr"]["eof"]


@daemon_test
def test_one_for_each_field_in_their_order(daemon, client):
    with Pipe() as out, Pipe() as given:
        os.write(given.writer, b"x\n")
        request = client.request_with([out.writer], "job.start", argv=["echo", "only stdout"], stdout="fd")
        out.close_writer()
        assert out.read_all() == b"only stdout\n"
        assert_reason(client.wait(client.result(request)["job"]), "exited", exit_code=0)
        job = client.result(client.request_with([given.reader], "job.run", argv=["head", "-n1"], stdin="fd"))["job"]
        assert text(job) == "x\n"
    with Pipe() as err:
        job = client.result(client.request_with([err.writer], "job.run", argv=["sh", "-c", "echo o; echo e >&2"],
                                                stderr="fd"))["job"]
        err.close_writer()
        assert err.read_all() == b"e\n" and text(job) == "o\n"


@daemon_test
def test_a_wrong_number_is_refused_and_closed(daemon, client):
    with Pipe() as pipe:
        for fds in ([], [pipe.writer], [pipe.writer] * 3, [pipe.writer] * 8, [pipe.writer] * 30):
            request = client.request_with(fds, "job.start", argv=["true"], stdout="fd", stderr="fd")
            try:
                client.result(request)
                raise AssertionError(f"{len(fds)} descriptors were taken for two")
            except RpcError as error:
                assert_refused(error, INVALID_PARAMS, "stdout")
        pipe.close_writer()
        assert pipe.read_all() == b""  # none is left open; a count of all would hang on what the daemon does besides


@daemon_test
def test_those_that_nobody_asked_for_are_closed(daemon, client):
    before = open_fds(daemon)
    with Pipe() as pipe:
        for _ in range(50):
            assert client.result(client.request_with([pipe.writer] * 3, "daemon.info"))["pid"] == daemon.pid
            assert_reason(client.result(client.request_with([pipe.writer], "job.run", argv=["true"]))["job"], "exited")
        assert open_fds(daemon) <= before + 1
        pipe.close_writer()
        assert pipe.read_all() == b""


@daemon_test
def test_they_belong_to_the_request_they_came_with(daemon, client):
    with Pipe() as pipe:
        first = client.request_with([pipe.writer], "daemon.info")
        second = client.request("job.start", argv=["true"], stdout="fd")
        third = client.request_with([pipe.writer], "job.run", argv=["echo", "third"], stdout="fd")
        client.result(first)
        try:
            client.result(second)
            raise AssertionError("took what came with another request")
        except RpcError as error:
            assert_refused(error, INVALID_PARAMS, "stdout")
        assert_reason(client.result(third)["job"], "exited", exit_code=0)
        pipe.close_writer()
        assert pipe.read_all() == b"third\n"


@daemon_test
def test_a_request_in_pieces_keeps_them(daemon, client):
    with Pipe() as pipe:
        line = b'{"jsonrpc":"2.0","id":"p","method":"job.run","params":{"argv":["echo","pieces"],"stdout":"fd"}}\n'
        with daemon.client() as other:
            socket.send_fds(other.socket, [line[:1]], [pipe.writer])
            client.call("daemon.info")
            for i in range(1, len(line)):
                socket.send_fds(other.socket, [line[i:i + 1]], [pipe.reader])  # with no first byte of anything
            assert other.recv()["result"]["job"]["result"]["exit_code"] == 0
        pipe.close_writer()
        assert pipe.read_all() == b"pieces\n"


@daemon_test
def test_a_connection_that_ends_in_between_closes_them(daemon, client):
    before = open_fds(daemon)
    with Pipe() as pipe:
        for _ in range(20):
            other = daemon.client()
            socket.send_fds(other.socket, [b'{"jsonrpc"'], [pipe.writer] * 3)
            other.close()
        procs.eventually(lambda: open_fds(daemon) == before, "no descriptor stays")


@daemon_test
def test_none_in_batches(daemon, client):
    answers = client.batch([("job.start", {"argv": ["true"], "stdout": "fd"}),
                            ("job.run", {"argv": ["true"], "fd": True, "follow": True})])
    assert [a["error"]["code"] for a in answers.values()] == [INVALID_PARAMS] * 2, answers
    job = client.run(["true"])
    answer = client.batch([("job.output", {"id": job["id"], "fd": True})])
    assert [a["error"]["code"] for a in answer.values()] == [INVALID_PARAMS]


@daemon_test
def test_a_key_that_is_known_closes_them(daemon, client):
    with Pipe() as pipe:
        first = client.result(client.request_with([pipe.writer], "job.run", argv=["echo", "1"], stdout="fd", key="k"))
        again = client.result(client.request_with([pipe.writer], "job.run", argv=["echo", "1"], stdout="fd", key="k"))
        assert first["job"]["id"] == again["job"]["id"]
        pipe.close_writer()
        assert pipe.read_all() == b"1\n"


@daemon_test
def test_a_program_that_is_not_there_closes_them(daemon, client):
    before = open_fds(daemon)
    with Pipe() as pipe:
        job = client.result(client.request_with([pipe.writer], "job.run", argv=["/nonexistent"], stdout="fd"))["job"]
        assert_reason(job, "spawn_failed")
        pipe.close_writer()
        assert pipe.read_all() == b"" and open_fds(daemon) <= before


def place(offset, layout):
    head, ring = layout["head_bytes"], layout["ring_bytes"]
    return offset if offset < head else head + (offset - head) % ring


def read_range(fd, layout, start, end):
    data = b""
    while start < end:
        at = place(start, layout)
        seam = layout["head_bytes"] if start < layout["head_bytes"] else layout["head_bytes"] + layout["ring_bytes"]
        piece = os.pread(fd, min(end - start, seam - at), at)
        assert piece, (start, end, layout)
        data += piece
        start += len(piece)
    return data


def follow_by_descriptor(client, argv, **spec):
    """job.run with fd: the bytes of both streams, read from the descriptors, and the final job."""
    request = client.request("job.run", argv=argv, follow=True, fd=True, **spec)
    started = client.notification("job.started")
    fds, got, over = client.take_fds(), {"stdout": b"", "stderr": b""}, False
    assert len(fds) == 2, fds
    while not over:
        note = client.notification("job.output")
        for chunk in note["chunks"]:
            fd = fds[chunk["stream"] == "stderr"]
            assert "data" not in chunk and chunk["offset"] == len(got[chunk["stream"]]), (chunk, note)
            got[chunk["stream"]] += read_range(fd, started["layout"], chunk["offset"], chunk["end"])
        assert not note["gaps"], note["gaps"]
        over = note["eof"]
        client.notify("job.output", id=started["job"]["id"], offset=note["next"])
    for fd in fds:
        os.close(fd)
    return got, client.result(request)["job"]


@daemon_test
def test_stored_streams_of_a_live_job(daemon, client):
    script = "seq 1 300000; seq 1 5 >&2; seq 300001 600000"
    got, job = follow_by_descriptor(client, ["sh", "-c", script])
    assert_reason(job, "exited", exit_code=0)
    assert got["stdout"].split() == [b"%d" % i for i in range(1, 600001)]
    assert got["stderr"] == b"1\n2\n3\n4\n5\n"
    assert job["stdout"]["bytes"] == len(got["stdout"])


@daemon_test
def test_stored_streams_without_a_budget(daemon, client):
    got, job = follow_by_descriptor(client, ["seq", "1", "200000"], output={"head_bytes": 0, "tail_bytes": 0})
    assert got["stdout"].split() == [b"%d" % i for i in range(1, 200001)]
    assert job["stdout"]["gaps"] == [[0, len(got["stdout"])]], job["stdout"]


@daemon_test
def test_what_is_not_acknowledged_is_not_overwritten(daemon, client):
    request = client.request("job.run", argv=["sh", "-c", "yes | head -c 3000000"], follow=True, fd=True,
                             output={"head_bytes": 1000, "tail_bytes": 100000})
    started = client.notification("job.started")
    job, layout, (out, err) = started["job"], started["layout"], client.take_fds()
    procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == 101000, "the ring is full")
    assert read_range(out, layout, 0, 101000) == b"y\n" * 50500
    client.notify("job.output", id=job["id"], offset={"stdout": 50000, "stderr": 0})
    procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == 150000, "as much as was read")
    assert read_range(out, layout, 50000, 150000) == b"y\n" * 50000
    client.notify("job.output", id=job["id"], offset={"stdout": 10, "stderr": 0})  # lower than before: nothing
    answer = client.call("job.output", id=job["id"], offset={"stdout": 150000, "stderr": 0})
    assert answer["chunks"] == [] or "data" not in answer["chunks"][0]
    client.kill(job, grace=0)
    client.notify("job.output", id=job["id"], offset={"stdout": 3_000_000, "stderr": 0})  # further than was told
    note = {"eof": False}
    while not note["eof"]:
        note = client.notification("job.output")
        client.notify("job.output", id=job["id"], offset=note["next"])
    os.close(out)
    os.close(err)
    assert_reason(client.result(request)["job"], "killed")


@daemon_test
def test_descriptors_are_read_only(daemon, client):
    client.request("job.run", argv=child("sleep", 1000), follow=True, fd=True)
    client.notification("job.started")
    job = client.run(["seq", "1", "10000"])
    client.call("job.output", id=job["id"], fd=True)
    for fd in client.take_fds():
        for write in (lambda fd=fd: os.write(fd, b"x"), lambda fd=fd: os.ftruncate(fd, 0)):
            try:
                write()
                raise AssertionError("can be written")
            except OSError:
                pass
        os.close(fd)


def kept(client, job, stream="stdout"):
    """The bytes of a final job's stream by their extents, from its descriptor."""
    answer = client.call("job.output", id=job["id"], stream=stream, fd=True)
    (fd,) = client.take_fds()
    with open(fd, "rb") as file:
        data = file.read()
    pieces = []
    for start, end in answer["extents"]:
        pieces.append((start, data[:end - start]))
        data = data[end - start:]
    assert data == b"" and answer["eof"] and answer["next"][stream] == job[stream]["bytes"], answer
    return pieces


@daemon_test
def test_what_is_kept_of_a_final_job(daemon, client):
    assert kept(client, client.run(["echo", "small"])) == [(0, b"small\n")]
    assert kept(client, client.run(["true"])) == []
    big = b"".join(b"%d\n" % i for i in range(1, 150001))
    assert kept(client, client.run(["seq", "1", "150000"])) == [(0, big)]
    job = client.run(["seq", "1", "150000"], output={"head_bytes": 1000, "tail_bytes": 2000})
    assert kept(client, job) == [(0, big[:1000]), (len(big) - 2000, big[-2000:])]
    job = client.run(["seq", "1", "150000"], output={"head_bytes": 1000, "tail_bytes": 2000, "limit_bytes": 5000})
    assert kept(client, job) == [(0, big[:1000]), (3000, big[3000:5000])], job["stdout"]
    job = client.run(["sh", "-c", "echo out; echo err >&2"])
    answer = client.call("job.output", id=job["id"], fd=True)
    out, err = client.take_fds()
    assert os.pread(out, 100, 0) == b"out\n" and os.pread(err, 100, 0) == b"err\n"
    assert answer["extents"] == {"stdout": [[0, 4]], "stderr": [[0, 4]]}
    os.close(out)
    os.close(err)


@daemon_test
def test_another_one_does_not_get_a_live_jobs_streams(daemon, client):
    job = client.start(child("sleep", 1000))
    assert_refused(client.refused("job.output", id=job["id"], fd=True), CONFLICT)
    client.call("job.lease", id=job["id"])
    answer = client.call("job.output", id=job["id"], fd=True)
    assert answer["layout"] == {"head_bytes": 524288, "ring_bytes": 524288} and len(client.fds) == 2
    assert_refused(client.refused("job.run", argv=["true"], fd=True), INVALID_PARAMS, "fd")


@daemon_test
def test_following_an_own_job_by_descriptor(daemon, client):
    job = client.start(["sh", "-c", "seq 1 1000; read x; seq 1001 300000"], stdin="stream", lease=True)
    procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == 3893, "the first part")
    answer = client.call("job.output", id=job["id"], stream="stdout", fd=True, follow=True, offset=8)
    (fd,), data = client.take_fds(), b""
    client.call("job.input", id=job["id"], eof=True)
    while True:
        note = client.notification("job.output")
        for chunk in note["chunks"]:
            data += read_range(fd, answer["layout"], chunk["offset"], chunk["end"])
        client.notify("job.output", id=job["id"], stream="stdout", offset=note["next"]["stdout"])
        if note["eof"]:
            break
    os.close(fd)
    assert data.split() == [b"%d" % i for i in range(5, 300001)]


@daemon_test
def test_a_client_that_takes_no_descriptors_costs_nothing(daemon, client):
    before = open_fds(daemon)
    job = client.run(["seq", "1", "1000"])
    other = daemon.client()
    for i in range(3000):
        other.send({"jsonrpc": "2.0", "id": i, "method": "job.output", "params": {"id": job["id"], "fd": True}})
        if i % 500 == 0:
            client.call("daemon.info")
    assert_reason(client.run(["true"]), "exited")
    other.close()
    procs.eventually(lambda: open_fds(daemon) == before, "all are closed")


@daemon_test
def test_a_passed_file_is_written_where_it_stands(daemon, client):
    with tempfile.TemporaryFile() as file:
        file.write(b"before ")
        file.flush()
        client.result(client.request_with([file.fileno()], "job.run", argv=["echo", "after"], stdout="fd"))
        file.seek(0)
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(b"before after\n").digest()
