"""Many at once, and running out: descriptors, connections, memory."""

import json

import procs
from harness import (GUARD, LIMIT_REACHED, Daemon, RpcError, Skip, assert_reason, child, daemon_test, every_set, is_sanitized,
                     text)

SETS = "any"
MIB = 1 << 20


@daemon_test
def test_3000_jobs_pipelined_on_one_connection(daemon, client):
    requests = [client.request("job.run", argv=["echo", f"job {i}"]) for i in range(3000)]
    ids = set()
    for i, request in enumerate(requests):
        job = client.result(request)["job"]
        assert_reason(job, "exited", exit_code=0)
        assert text(job) == f"job {i}\n"
        ids.add(job["id"])
    assert len(ids) == 3000 and not client.answers
    stats = client.call("daemon.stats")
    assert stats["jobs"]["by_reason"]["exited"] == 3000, stats["jobs"]


@daemon_test
def test_500_connections(daemon, client):
    clients = [daemon.client() for _ in range(500)]
    requests = [c.request("daemon.info") for c in clients]
    for c, request in zip(clients, requests):
        assert c.result(request)["pid"] == daemon.pid
    runs = [c.request("job.run", argv=["echo", str(i)]) for i, c in enumerate(clients) if i % 10 == 0]
    for i, request in enumerate(runs):
        assert text(clients[i * 10].result(request)["job"]) == f"{i * 10}\n"
    for c in clients:
        c.close()
    procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] == 1, "they are gone")


@every_set
@daemon_test
def test_1000_live_jobs(daemon, client):
    requests = [client.request("job.start", argv=child("sleep", 1000)) for _ in range(1000)]
    jobs = [client.result(request)["job"] for request in requests]
    assert len({job["pid"] for job in jobs}) == 1000
    assert text(client.run(["echo", "one more"])) == "one more\n"
    client.call("job.kill", ids=[job["id"] for job in jobs], grace=0)
    client.call("job.wait", ids=[job["id"] for job in jobs])


@every_set
def test_out_of_descriptors_refuses_new_work_and_recovers():
    with Daemon(nofile=160) as daemon:
        client = daemon.client()
        jobs, error = [], None
        while not error:
            assert len(jobs) < 200, "never refused"
            try:
                jobs.append(client.start(child("ignore-term"), grace=0))
            except RpcError as refusal:
                error = refusal
        assert error.code == LIMIT_REACHED, error
        assert len(jobs) >= 10, f"only {len(jobs)} jobs with 160 descriptors"
        assert client.refused("job.run", argv=["true"]).code == LIMIT_REACHED
        for job in jobs:
            assert client.status(job)["state"] == "running"
            client.wait_text(job, "ready\n")
        for job in jobs[:5]:
            client.kill_and_wait(job)
        assert text(client.run(["echo", "again"])) == "again\n"
        for job in jobs[5:]:
            assert client.status(job)["state"] == "running"


def test_out_of_descriptors_by_connections_recovers():
    with Daemon(nofile=128) as daemon:
        client = daemon.client()
        job = client.start(child("sleep", 1000))
        others = [daemon.client() for _ in range(150)]
        assert client.call("daemon.info")["pid"] == daemon.pid
        assert client.status(job)["state"] == "running"
        late = others[-1].request("daemon.info")
        for other in others[:-1]:
            other.close()
        assert others[-1].result(late)["pid"] == daemon.pid
        procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] == 2, "the others are seen to have left")
        assert text(client.run(["echo", "fine"])) == "fine\n"


@every_set
def test_jobs_pipelined_beyond_the_descriptors_are_refused_or_run():
    with Daemon(nofile=128) as daemon:
        client = daemon.client()
        requests = [client.request("job.run", argv=["echo", str(i)]) for i in range(300)]
        ran = 0
        for i, request in enumerate(requests):
            answer = client.answer(request)
            if "error" in answer:
                assert answer["error"]["code"] == LIMIT_REACHED, answer
            else:
                assert_reason(answer["result"]["job"], "exited", exit_code=0)
                assert text(answer["result"]["job"]) == f"{i}\n"
                ran += 1
        assert ran >= 10, f"only {ran} ran"
        assert text(client.run(["echo", "after"])) == "after\n"


@daemon_test
def test_line_of_100_mb_is_refused_at_once_and_memory_stays_flat(daemon, client):
    bad = daemon.client()
    before = procs.resident_bytes(daemon.worker)
    piece = b"x" * MIB
    try:
        bad.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"')
        for _ in range(100):
            bad.send_raw(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    else:
        raise AssertionError("100 MB were taken")
    answer = bad.recv()
    assert answer["id"] is None and answer["error"]["code"] == -32600, answer
    bad.expect_closed()
    assert text(client.run(["echo", "there"])) == "there\n"
    grown = procs.resident_bytes(daemon.worker) - before
    assert grown < (64 if is_sanitized() else 16) * MIB, f"grew by {grown}"


@daemon_test
def test_connection_that_never_reads_is_not_read_either(daemon, client):
    deaf = daemon.client()
    deaf.guard = 1
    before = procs.resident_bytes(daemon.worker)
    job = client.run(child("flood", 900_000), output={"head_bytes": MIB})
    line = b'{"jsonrpc":"2.0","id":1,"method":"job.status","params":{"id":%d,"inline_bytes":1048576}}\n' % job["id"]
    try:
        for _ in range(20_000):
            deaf.send_raw(line * 10)
    except TimeoutError:
        pass
    else:
        raise AssertionError("200,000 requests were read from one that reads no answer")
    assert text(client.run(["echo", "there"])) == "there\n"
    grown = procs.resident_bytes(daemon.worker) - before
    assert grown < (256 if is_sanitized() else 48) * MIB, f"grew by {grown}"


@daemon_test
def test_connections_that_come_and_go_leave_nothing(daemon, client):
    for _ in range(50):
        daemon.client().close()
        half = daemon.client()
        half.send_raw(b'{"jsonrpc":"2.0","id":1,"meth')
        half.close()
    procs.eventually(lambda: client.call("daemon.stats")["clients"]["connected"] == 1, "they are gone")


@every_set
@daemon_test
def test_jobs_leave_no_descriptors_and_no_processes(daemon, client):
    def used():
        return len(procs.descriptors(daemon.worker))
    client.run(["true"])
    before, processes = used(), len(procs.children(daemon.worker))
    for request in [client.request("job.run", argv=["true"]) for _ in range(200)]:
        client.result(request)
    client.call("job.forget", final=True)
    procs.eventually(lambda: used() <= before, "the descriptors are closed")
    procs.eventually(lambda: len(procs.children(daemon.worker)) <= processes, "the helpers are reaped")


@daemon_test
def test_thousands_of_jobs_of_one_client_hold_up_no_other(daemon, client):
    other = daemon.client()
    calls = [client.compose("job.start", {"argv": ["true"]}) for _ in range(1500)]
    client.send_raw(b"".join(json.dumps(call).encode() + b"\n" for call in calls))
    assert text(other.run(["echo", "there"])) == "there\n"
    assert other.call("daemon.stats")["jobs"]["accepted"] < 1000
    for call in calls:
        client.result(call["id"])


@daemon_test
def test_memory_of_large_requests_comes_back(daemon, client):
    if is_sanitized():
        raise Skip("a sanitizer keeps what is freed for a while")
    client.run(["true"])
    before = procs.resident_bytes(daemon.worker)
    for size in (1, 3, 5, 7):
        client.run(["true"], stdin={"data": "x" * size * MIB})
    client.call("job.forget", final=True)
    grown = procs.resident_bytes(daemon.worker) - before
    assert grown < 4 * MIB, f"keeps {grown}"


def test_too_few_descriptors_to_serve_anybody_are_told_at_the_start():
    daemon = Daemon(nofile=40)
    try:
        assert daemon.spawn().wait(GUARD) not in (0, -6, -11)
        assert b"40 open files" in daemon.errors(), daemon.errors()
    finally:
        daemon.remove()
