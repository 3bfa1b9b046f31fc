"""job.output: stored output by offset."""

import os
import signal
import time

import procs
from client import data_of
from harness import NOT_FOUND, assert_refused, child, daemon_test
from reading import check_encoding, flood, read_all


@daemon_test
def test_output_of_a_final_job(daemon, client):
    job = client.run(child("lines", 3))
    answer = client.output(job, stream="stdout")
    assert all(c["stream"] == "stdout" for c in answer["chunks"]) and answer["chunks"][0]["offset"] == 0, answer
    assert b"".join(map(data_of, answer["chunks"])) == b"line 1\nline 2\nline 3\n", answer
    assert answer["next"]["stdout"] == 21 and answer["gaps"] == [] and answer["eof"] is True


@daemon_test
def test_output_of_nobody(daemon, client):
    assert_refused(client.refused("job.output", id=999), NOT_FOUND)


@daemon_test
def test_output_by_name(daemon, client):
    client.run(child("lines", 1), name="printer")
    assert client.call("job.output", name="printer")["chunks"][0]["data"] == "line 1\n"


@daemon_test
def test_offset_and_limit(daemon, client):
    job = client.run(child("flood", 1600))
    answer = client.output(job, stream="stdout", offset=100, limit_bytes=50)
    assert b"".join(map(data_of, answer["chunks"])) == flood(100, 150)
    assert answer["chunks"][0]["offset"] == 100 and answer["next"]["stdout"] == 150 and answer["eof"] is False
    answer = client.output(job, stream="stdout", offset=1600)
    assert answer["chunks"] == [] and answer["next"]["stdout"] == 1600 and answer["eof"] is True


@daemon_test
def test_negative_offset_counts_from_the_end(daemon, client):
    job = client.run(child("flood", 1600))
    answer = client.output(job, stream="stdout", offset=-10)
    assert b"".join(map(data_of, answer["chunks"])) == flood(1590, 1600)
    assert answer["chunks"][0]["offset"] == 1590 and answer["eof"] is True
    answer = client.output(job, stream="stdout", offset=-100_000)
    assert answer["chunks"][0]["offset"] == 0


@daemon_test
def test_offsets_of_both_streams(daemon, client):
    job = client.run(child("both", 3))
    answer = client.output(job, offset={"stdout": 12, "stderr": -6})
    assert {(c["stream"], c["offset"], c["data"]) for c in answer["chunks"]} == \
        {("stdout", 12, "out 2\n"), ("stderr", 12, "err 2\n")}
    assert answer["next"] == {"stdout": 18, "stderr": 18} and answer["eof"] is True
    answer = client.output(job, offset=6)
    assert sum(len(data_of(c)) for c in answer["chunks"]) == 24


@daemon_test
def test_both_streams_come_in_the_order_read(daemon, client):
    job = client.run(child("both", 20))
    reader = read_all(client, job)
    expected = []
    for i in range(20):
        expected += [("stdout", b"out %d\n" % i), ("stderr", b"err %d\n" % i)]
    assert reader.order == expected, reader.order


@daemon_test
def test_each_line_has_its_own_time(daemon, client):
    job = client.start(["cat"], stdin="stream")
    for i in range(6):
        client.call("job.input", id=job["id"], data=f"line {i}\n")
        client.wait_text(job, f"line {i}\n")
        read_by = time.time()
        procs.eventually(lambda: time.time() > read_by + 0.01, "the clock goes on")
    client.call("job.input", id=job["id"], eof=True)
    client.wait(job)
    times = [chunk["at"] for chunk in client.output(job)["chunks"]]
    assert len(times) == 6 and sorted(set(times)) == times, times


# The worker sleeps while both streams are written to: it finds both at once when it wakes up.
@daemon_test
def test_of_two_streams_the_one_written_first_is_read_first(daemon, client):
    for number in range(4):
        path = os.path.join(daemon.directory, f"written{number}")
        words = ["echo first >&2; echo second", "echo first; echo second >&2"][number % 2]
        reader, writer = os.pipe()
        script = f"echo up; echo up >&2; read x; {words}; : >{path}; read x"
        job = client.result(client.request_with([reader], "job.start", argv=["sh", "-c", script], stdin="fd"))["job"]
        os.close(reader)
        client.wait_text(job, "up")
        client.wait_text(job, "up", "stderr")
        # At rest it has looked at all that was ready before, so that the kernel's list begins anew.
        procs.eventually(lambda: procs.in_epoll_wait(daemon.worker), "the worker is at rest")
        procs.kill(daemon.worker, signal.SIGSTOP)
        os.write(writer, b"\n")
        procs.eventually(lambda: os.path.exists(path), "both are written")
        procs.kill(daemon.worker, signal.SIGCONT)
        os.close(writer)
        client.wait(job)
        told = "".join(chunk["data"] for chunk in client.output(job)["chunks"])
        assert told.index("first") < told.index("second"), told


@daemon_test
def test_order_page_by_page(daemon, client):
    job = client.run(child("both", 20))
    reader = read_all(client, job, limit_bytes=7)
    whole = b"".join(data for _, data in reader.order)
    assert whole == b"".join(b"out %d\nerr %d\n" % (i, i) for i in range(20)), reader.order


@daemon_test
def test_order_best_effort_keeps_every_byte_of_many_switches(daemon, client):
    job = client.run(["sh", "-c", "i=0; while [ $i -lt 6000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"])
    reader = read_all(client, job)
    assert reader.bytes("stdout") == b"".join(b"o%d\n" % i for i in range(6000))
    assert reader.bytes("stderr") == b"".join(b"e%d\n" % i for i in range(6000))


@daemon_test
def test_one_stream_alone(daemon, client):
    job = client.run(child("both", 3))
    answer = client.output(job, stream="stderr")
    assert {c["stream"] for c in answer["chunks"]} == {"stderr"} and answer["eof"] is True
    assert b"".join(map(data_of, answer["chunks"])) == b"err 0\nerr 1\nerr 2\n"


@daemon_test
def test_output_of_a_live_job_has_no_eof(daemon, client):
    job = client.start(child("ignore-term"), grace=0)
    client.wait_text(job, "ready\n")
    answer = client.output(job)
    assert answer["chunks"][0]["data"] == "ready\n" and answer["eof"] is False
    assert abs(answer["chunks"][0]["at"] - job["started_at"]) < 30
    answer = client.output(job, offset=answer["next"])
    assert answer["chunks"] == [] and answer["eof"] is False


@daemon_test
def test_stream_closed_by_a_live_job_is_at_eof(daemon, client):
    job = client.start(["sh", "-c", "echo over; exec >&-; echo ready >&2; sleep 1000"])
    client.wait_text(job, "ready\n", "stderr")
    client.call("daemon.info")
    shown = client.call("job.wait", ids=[job["id"]], limit=0.1)["jobs"][0]
    assert shown["stdout"]["eof"] is True and shown["stderr"]["eof"] is False
    assert client.output(job, stream="stdout")["eof"] is True
    assert client.output(job)["eof"] is False


@daemon_test
def test_bytes_that_are_not_utf8(daemon, client):
    expected = bytes(range(256)) + b"\xc3\xe2\x82\xed\xa0\x80\xf5\x80\x80\x80"
    job = client.run(child("not-utf8"))
    assert job["stdout"]["encoding"] == "base64" and data_of(job["stdout"]) == expected
    assert read_all(client, job).bytes() == expected
    assert read_all(client, job, limit_bytes=3).bytes() == expected


@daemon_test
def test_nul_is_no_utf8(daemon, client):
    job = client.run(child("nul"))
    assert job["stdout"]["encoding"] == "base64" and data_of(job["stdout"]) == b"a\0b\n"


@daemon_test
def test_base64_by_force(daemon, client):
    job = client.run(child("lines", 1))
    answer = client.output(job, encoding="base64")
    assert answer["chunks"][0]["encoding"] == "base64" and data_of(answer["chunks"][0]) == b"line 1\n"


@daemon_test
def test_pieces_are_cut_at_character_boundaries(daemon, client):
    job = client.run(child("euros", 100))
    answer = client.output(job, stream="stdout", limit_bytes=100)
    data = b"".join(check_encoding(chunk) for chunk in answer["chunks"])
    assert data == "€".encode() * 33 and answer["next"]["stdout"] == 99, answer
    assert {chunk["encoding"] for chunk in answer["chunks"]} == {"utf-8"}
    reader = read_all(client, job, limit_bytes=10)
    assert reader.bytes() == "€".encode() * 100
    assert all(len(data) % 3 == 0 for _, data in reader.pieces["stdout"])


@daemon_test
def test_limit_smaller_than_a_character_still_goes_on(daemon, client):
    job = client.run(child("euros", 4))
    assert read_all(client, job, limit_bytes=1).bytes() == "€".encode() * 4
    assert read_all(client, job, limit_bytes=2).bytes() == "€".encode() * 4


@daemon_test
def test_offset_within_a_character(daemon, client):
    job = client.run(child("euros", 4))
    answer = client.output(job, stream="stdout", offset=1)
    assert b"".join(check_encoding(chunk) for chunk in answer["chunks"]) == ("€".encode() * 4)[1:]


@daemon_test
def test_inline_cut_is_at_character_boundaries(daemon, client):
    job = client.run(child("euros", 100), inline_bytes=100)
    data = check_encoding(job["stdout"])
    start, end = job["stdout"]["cut"]
    assert start % 3 == 0 and end % 3 == 0 and len(data) <= 100, job["stdout"]["cut"]
    assert data == "€".encode() * ((start + 300 - end) // 3)


@daemon_test
def test_pages_of_a_large_output(daemon, client):
    job = client.run(child("flood", 900_000))
    assert read_all(client, job).bytes() == flood(0, 900_000)
    assert read_all(client, job, stream="stdout", limit_bytes=1 << 20).bytes() == flood(0, 900_000)


@daemon_test
def test_default_page_is_64_kib(daemon, client):
    job = client.run(child("flood", 900_000))
    answer = client.output(job, stream="stdout")
    assert sum(len(data_of(chunk)) for chunk in answer["chunks"]) == 65536
