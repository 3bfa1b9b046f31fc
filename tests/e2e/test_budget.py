"""The output budget: head, tail, exact gaps, limits, and that a flood costs no more than that."""

import procs
from client import data_of
from harness import assert_reason, assert_refused, child, daemon_test, is_sanitized
from reading import flood, read_all

MIB = 1 << 20


def kept(size, head, tail):
    return flood(0, head) + flood(size - tail, size)


@daemon_test
def test_default_budget_keeps_512_kib_of_head_and_of_tail(daemon, client):
    size = 5 * MIB + 17
    job = client.run(child("flood", size), inline_bytes=2 * MIB)
    half = 512 * 1024
    assert job["stdout"]["bytes"] == size and job["stdout"]["gaps"] == [[half, size - half]]
    assert data_of(job["stdout"]) == kept(size, half, half)
    assert job["stdout"]["cut"] == [half, size - half]


@daemon_test
def test_no_gap_up_to_head_and_tail(daemon, client):
    for size in (0, 1, 99, 100, 101, 149, 150):
        job = client.run(child("flood", size), output={"head_bytes": 100, "tail_bytes": 50})
        assert job["stdout"]["gaps"] == [] and data_of(job["stdout"]) == flood(0, size), size
        assert "cut" not in job["stdout"]


@daemon_test
def test_one_byte_more_is_a_gap_of_one(daemon, client):
    job = client.run(child("flood", 151), output={"head_bytes": 100, "tail_bytes": 50})
    assert job["stdout"]["gaps"] == [[100, 101]] and job["stdout"]["bytes"] == 151
    assert data_of(job["stdout"]) == kept(151, 100, 50) and job["stdout"]["cut"] == [100, 101]


@daemon_test
def test_ring_over_many_rounds_and_odd_sizes(daemon, client):
    for size, head, tail in ((100_003, 1000, 777), (1_000_000, 1, 4096), (70_000, 65536, 1), (5000, 0, 123)):
        job = client.run(child("flood", size), output={"head_bytes": head, "tail_bytes": tail})
        assert job["stdout"]["gaps"] == [[head, size - tail]], (size, job["stdout"]["gaps"])
        assert data_of(job["stdout"]) == kept(size, head, tail), size
        assert read_all(client, job).bytes() == kept(size, head, tail)


@daemon_test
def test_head_alone_tail_alone_and_nothing(daemon, client):
    job = client.run(child("flood", 1000), output={"head_bytes": 100, "tail_bytes": 0})
    assert job["stdout"]["gaps"] == [[100, 1000]] and data_of(job["stdout"]) == flood(0, 100)
    job = client.run(child("flood", 1000), output={"head_bytes": 0, "tail_bytes": 100})
    assert job["stdout"]["gaps"] == [[0, 900]] and data_of(job["stdout"]) == flood(900, 1000)
    job = client.run(child("flood", 1000), output={"head_bytes": 0, "tail_bytes": 0})
    assert job["stdout"]["gaps"] == [[0, 1000]] and data_of(job["stdout"]) == b""
    assert job["stdout"]["bytes"] == 1000


@daemon_test
def test_budget_is_per_stream(daemon, client):
    script = f"{child('flood')[0]} flood 1000; {child('flood')[0]} flood 120 >&2"
    job = client.run(["sh", "-c", script], output={"head_bytes": 100, "tail_bytes": 50})
    assert job["stdout"]["gaps"] == [[100, 950]] and job["stderr"]["gaps"] == []
    assert data_of(job["stderr"]) == flood(0, 120)


@daemon_test
def test_reading_goes_past_a_gap_and_tells_it(daemon, client):
    job = client.run(child("flood", 1000), output={"head_bytes": 100, "tail_bytes": 50})
    reader = read_all(client, job)
    assert reader.bytes() == kept(1000, 100, 50) and reader.gaps["stdout"] == [[100, 950]]
    assert read_all(client, job, limit_bytes=7).gaps["stdout"] == [[100, 950]]


@daemon_test
def test_offset_within_a_gap_continues_after_it(daemon, client):
    job = client.run(child("flood", 1000), output={"head_bytes": 100, "tail_bytes": 50})
    answer = client.output(job, stream="stdout", offset=500)
    assert answer["chunks"][0]["offset"] == 950 and answer["next"]["stdout"] == 1000
    assert b"".join(map(data_of, answer["chunks"])) == flood(950, 1000)
    assert len(answer["gaps"]) == 1 and answer["gaps"][0]["end"] == 950, answer["gaps"]


@daemon_test
def test_limit_truncates_and_counts(daemon, client):
    job = client.run(child("flood", 1600), output={"limit_bytes": 320})
    assert_reason(job, "exited", exit_code=0)
    assert job["stdout"]["bytes"] == 1600 and job["stdout"]["gaps"] == [[320, 1600]], job["stdout"]
    assert data_of(job["stdout"]) == flood(0, 320) and job["stdout"]["cut"] == [320, 1600]


@daemon_test
def test_limit_beyond_head_and_tail_leaves_two_gaps(daemon, client):
    job = client.run(child("flood", 1600), output={"head_bytes": 64, "tail_bytes": 64, "limit_bytes": 320})
    assert job["stdout"]["gaps"] == [[64, 256], [320, 1600]], job["stdout"]
    reader = read_all(client, job)
    assert reader.bytes() == flood(0, 64) + flood(256, 320)
    assert reader.gaps["stdout"] == [[64, 256], [320, 1600]]


@daemon_test
def test_limit_that_is_just_reached_is_no_gap(daemon, client):
    job = client.run(child("flood", 320), output={"limit_bytes": 320, "on_limit": "kill"})
    assert_reason(job, "exited", exit_code=0)
    assert job["stdout"]["gaps"] == []


@daemon_test
def test_limit_kills(daemon, client):
    job = client.run(child("flood"), output={"limit_bytes": 100_000, "on_limit": "kill"})
    assert_reason(job, "output_limit", signal="SIGTERM", timed_out=False, killed_by=None)
    assert job["stdout"]["bytes"] > 100_000 and data_of(job["stdout"]) == flood(0, 100_000)
    assert job["stdout"]["gaps"] == [[100_000, job["stdout"]["bytes"]]]


@daemon_test
def test_limit_kills_one_that_ignores_term_after_grace(daemon, client):
    script = "trap '' TERM; while :; do echo more; done"
    job = client.run(["sh", "-c", script], output={"limit_bytes": 1000, "on_limit": "kill"}, grace=0.2)
    assert_reason(job, "output_limit", signal="SIGKILL")


@daemon_test
def test_limit_of_stderr_kills_too(daemon, client):
    job = client.run(["sh", "-c", "exec yes >&2"], output={"limit_bytes": 1000, "on_limit": "kill"})
    assert_reason(job, "output_limit")
    assert job["stderr"]["gaps"][0][0] == 1000


@daemon_test
def test_limit_0_keeps_nothing(daemon, client):
    job = client.run(child("lines", 2), output={"limit_bytes": 0})
    assert job["stdout"]["bytes"] == 14 and job["stdout"]["gaps"] == [[0, 14]] and data_of(job["stdout"]) == b""


@daemon_test
def test_flood_costs_no_memory(daemon, client):
    client.run(child("flood", 64 * MIB))
    before = procs.resident_bytes(daemon.worker)
    job = client.run(child("flood", 512 * MIB))
    assert job["stdout"]["bytes"] == 512 * MIB
    grown = procs.resident_bytes(daemon.worker) - before
    assert grown < (64 if is_sanitized() else 4) * MIB, f"grew by {grown} bytes"
    assert data_of(client.output(job, stream="stdout", offset=-16)["chunks"][0]) == flood(512 * MIB - 16, 512 * MIB)


@daemon_test
def test_budget_out_of_range_is_refused(daemon, client):
    for name in ("head_bytes", "tail_bytes", "limit_bytes"):
        error = client.refused("job.start", argv=["true"], output={name: -1})
        assert_refused(error, -32602, f"output.{name}")
    error = client.refused("job.start", argv=["true"], output={"on_limit": "explode"})
    assert_refused(error, -32602, "output.on_limit")
