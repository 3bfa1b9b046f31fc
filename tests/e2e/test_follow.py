"""Following output: job.run with follow, lossless; job.output with follow, with gaps for the slow."""

import hashlib
import subprocess

import procs
from harness import assert_reason, child, daemon_test
from reading import Reader, follow_run

MIB = 1 << 20


def checksum(argv):
    """Of what the program prints, read by nobody but this test."""
    digest = hashlib.sha256()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        while data := process.stdout.read(MIB):
            digest.update(data)
    return digest.hexdigest()


def follow(client, job, **params):
    """job.output with follow, to its end. Returns the reader."""
    answer = client.output(job, follow=True, **params)
    return follow_on(client, answer)


def follow_on(client, answer):
    reader = Reader()
    reader.take(answer)
    while not reader.eof:
        note = client.notification("job.output")
        assert note["subscription"] == answer["subscription"]
        reader.take(note)
    return reader


@daemon_test
def test_run_with_follow_tells_all_before_the_answer(daemon, client):
    job, started, reader = follow_run(client, child("both", 5))
    assert started["id"] == job["id"] and started["pid"] == job["pid"] and started["result"] is None
    assert_reason(job, "exited", exit_code=0)
    assert reader.eof is True
    assert reader.bytes("stdout") == b"".join(b"out %d\n" % i for i in range(5))
    assert reader.bytes("stderr") == b"".join(b"err %d\n" % i for i in range(5))
    assert [name for name, _ in reader.order] == ["stdout", "stderr"] * 5


@daemon_test
def test_run_with_follow_of_64_mib_is_lossless(daemon, client):
    argv = child("flood", 64 * MIB)
    job, _, reader = follow_run(client, argv)
    assert reader.at["stdout"] == 64 * MIB == job["stdout"]["bytes"] and reader.gaps["stdout"] == []
    assert hashlib.sha256(reader.bytes()).hexdigest() == checksum(argv)


@daemon_test
def test_run_with_follow_waits_for_a_slow_reader(daemon, client):
    argv = child("flood", 64 * MIB)
    other = daemon.client()
    request = client.request("job.run", argv=argv, follow=True, idle_timeout=1)
    started = client.notification("job.started")
    seen = [0, 0]

    def stands_still():
        seen.append(other.status(started["job"])["stdout"]["bytes"])
        return seen[-1] > 0 and len(seen) > 100 and seen[-1] == seen[-100]

    procs.eventually(stands_still, "supd has stopped reading the pipe")
    assert seen[-1] < 63 * MIB, "read on though nobody takes it"
    reader = Reader()
    while not reader.eof:
        reader.take(client.notification("job.output"))
    assert_reason(client.result(request)["job"], "exited", exit_code=0)
    assert reader.gaps["stdout"] == []
    assert hashlib.sha256(reader.bytes()).hexdigest() == checksum(argv)


@daemon_test
def test_run_with_follow_of_bytes_that_are_not_utf8(daemon, client):
    _, _, reader = follow_run(client, child("not-utf8"))
    assert reader.bytes() == bytes(range(256)) + b"\xc3\xe2\x82\xed\xa0\x80\xf5\x80\x80\x80"


@daemon_test
def test_run_with_follow_of_cut_characters(daemon, client):
    _, _, reader = follow_run(client, child("euros", 3000))
    assert reader.bytes() == "€".encode() * 3000


@daemon_test
def test_run_with_follow_of_a_silent_job(daemon, client):
    job, _, reader = follow_run(client, child("exit", 3))
    assert_reason(job, "exited", exit_code=3)
    assert reader.bytes() == b""


@daemon_test
def test_run_with_follow_of_a_missing_program(daemon, client):
    request = client.request("job.run", argv=["/nonexistent/program"], follow=True)
    assert_reason(client.result(request)["job"], "spawn_failed")


@daemon_test
def test_run_with_follow_of_a_key_whose_job_is_over(daemon, client):
    argv = child("both", 5)
    job, sleeper = client.run(argv, key="again"), client.start(child("sleep", 1000))

    def told():
        again, started, reader = follow_run(client, argv, key="again")
        assert again["id"] == started["id"] == job["id"], again
        assert reader.eof and len(reader.bytes()) == len(reader.bytes("stderr")) == 30
    told()
    older = client.request("job.wait", id=sleeper["id"])
    told()
    daemon.kill_worker()  # memory has it no more
    told()
    client.kill(sleeper, grace=0)
    assert client.result(older)["done"]


@daemon_test
def test_two_follow_runs_on_one_connection_stay_apart(daemon, client):
    requests = [client.request("job.run", argv=child("lines", 200 + i), follow=True) for i in range(2)]
    for request in requests:
        client.answer(request)
    output = {request: b"" for request in requests}
    for note in client.notifications:
        if note["method"] == "job.output":
            for chunk in note["params"]["chunks"]:
                output[note["params"]["request"]] += chunk["data"].encode()
    for i, request in enumerate(requests):
        assert output[request].splitlines()[-1] == b"line %d" % (200 + i)


@daemon_test
def test_follower_of_a_live_job_gets_what_was_and_what_comes(daemon, client):
    job = client.start(["sh", "-c", "echo was; sleep 0.3; echo comes; echo error >&2"])
    client.wait_text(job, "was\n")
    reader = follow(client, job)
    assert reader.bytes() == b"was\ncomes\n" and reader.bytes("stderr") == b"error\n"


@daemon_test
def test_follower_of_a_final_job_gets_all_and_eof(daemon, client):
    job = client.run(child("lines", 50_000))
    assert follow(client, job).bytes() == b"".join(b"line %d\n" % i for i in range(1, 50_001))


@daemon_test
def test_follower_of_one_stream_from_an_offset(daemon, client):
    job = client.start(["sh", "-c", "echo 12345; sleep 0.2; echo no >&2; echo 67890"])
    client.wait_text(job, "12345\n")
    answer = client.output(job, stream="stdout", offset=-3, follow=True)
    data = b"".join(chunk["data"].encode() for chunk in answer["chunks"])
    eof = answer["eof"]
    while not eof:
        note = client.notification("job.output")
        assert {chunk["stream"] for chunk in note["chunks"]} <= {"stdout"}
        data += b"".join(chunk["data"].encode() for chunk in note["chunks"])
        eof = note["eof"]
    assert data == b"45\n67890\n", data


@daemon_test
def test_unsubscribe_ends_the_notifications(daemon, client):
    job = client.start(["sh", "-c", "while :; do echo again; sleep 0.01; done"])
    answer = client.output(job, follow=True)
    client.notification("job.output")
    assert client.call("event.unsubscribe", subscription=answer["subscription"]) == {}
    client.notifications.clear()
    client.kill_and_wait(job)
    assert not client.notifications


@daemon_test
def test_slow_follower_loses_nothing_in_silence(daemon, client):
    job = client.start(["sh", "-c", "read x; exec " + " ".join(child("flood", 64 * MIB))], stdin={"data": "go\n"})
    slow = daemon.client()
    answer = slow.output(job, stream="stdout", follow=True)
    final = client.wait(job)
    assert final["stdout"]["bytes"] == 64 * MIB, "a follower without hold must not hold up the job"
    reader = follow_on(slow, answer)
    assert reader.at["stdout"] == 64 * MIB
    dropped = sum(end - start for start, end in reader.gaps["stdout"])
    assert dropped + len(reader.bytes()) == 64 * MIB
    for offset, data in reader.pieces["stdout"]:
        assert data.startswith(b"%015d\n" % offset) or offset % 16, (offset, data[:32])


@daemon_test
def test_holder_of_the_lease_may_hold(daemon, client):
    argv = ["sh", "-c", "sleep 0.3; exec " + " ".join(child("flood", 8 * MIB))]
    job = client.start(argv, lease=True)
    reader = follow(client, job, stream="stdout", hold=True)
    assert reader.gaps["stdout"] == [] and reader.at["stdout"] == 8 * MIB
    assert hashlib.sha256(reader.bytes()).hexdigest() == checksum(child("flood", 8 * MIB))


@daemon_test
def test_follower_that_leaves_disturbs_nobody(daemon, client):
    job = client.start(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.05; done"])
    followers = [daemon.client() for _ in range(5)]
    for follower in followers:
        follower.output(job, follow=True)
    for follower in followers[1:]:
        follower.close()
    assert_reason(client.wait(job), "exited", exit_code=0)


@daemon_test
def test_runner_that_leaves_in_a_flood_takes_its_job_along(daemon, client):
    runner = daemon.client()
    runner.request("job.run", argv=child("flood"), follow=True)
    job = runner.notification("job.started")["job"]
    runner.notification("job.output")
    runner.close()
    job = client.wait(job)
    assert_reason(job, "killed")
    assert job["result"]["killed_by"]["by"] == "lease", job["result"]
