"""job.wait: all, any, limit, until."""

import procs
from harness import INVALID_PARAMS, NOT_FOUND, assert_reason, assert_refused, child, daemon_test, text

SETS = "any"


@daemon_test
def test_wait_answers_at_once_for_a_final_job(daemon, client):
    job = client.run(child("exit", 4))
    answer = client.call("job.wait", ids=[job["id"]])
    assert answer["done"] is True and answer["jobs"][0]["result"]["exit_code"] == 4


@daemon_test
def test_wait_for_all_is_over_with_the_last(daemon, client):
    slow, fast = client.start(child("cat"), stdout="null"), client.start(child("sleep", 1000))
    client.wait(slow)
    waiting = client.request("job.wait", ids=[fast["id"], slow["id"]], mode="all")
    client.call("daemon.info")
    assert waiting not in client.answers
    client.kill(fast, grace=0)
    answer = client.result(waiting)
    assert answer["done"] is True
    assert [job["id"] for job in answer["jobs"]] == [fast["id"], slow["id"]]
    assert all(job["state"] == "final" for job in answer["jobs"])


@daemon_test
def test_wait_for_any_is_over_with_the_first(daemon, client):
    jobs = [client.start(child("sleep", 1000)) for _ in range(3)]
    waiting = client.request("job.wait", ids=[job["id"] for job in jobs], mode="any")
    client.kill(jobs[1], grace=0)
    answer = client.result(waiting)
    assert answer["done"] is True
    assert [job["id"] for job in answer["jobs"]] == [job["id"] for job in jobs]
    assert [job["state"] == "final" for job in answer["jobs"]] == [False, True, False]


@daemon_test
def test_wait_for_any_of_which_one_is_over_already(daemon, client):
    over, live = client.run(["true"]), client.start(child("sleep", 1000))
    answer = client.call("job.wait", ids=[live["id"], over["id"]], mode="any")
    assert answer["done"] is True and answer["jobs"][0]["state"] == "running"


@daemon_test
def test_limit_that_passes_is_not_done_and_no_error(daemon, client):
    job = client.start(child("sleep", 1000))
    for limit in (0, 0.05):
        answer = client.call("job.wait", ids=[job["id"]], limit=limit)
        assert answer["done"] is False and answer["jobs"][0]["state"] == "running"
    answer = client.call("job.wait", ids=[client.run(["true"])["id"]], limit=0)
    assert answer["done"] is True


@daemon_test
def test_one_job_may_be_waited_for_by_id_or_name(daemon, client):
    job = client.start(child("exit", 2), name="short")
    assert client.call("job.wait", id=job["id"])["jobs"][0]["result"]["exit_code"] == 2
    assert client.call("job.wait", name="short")["jobs"][0]["id"] == job["id"]


@daemon_test
def test_until_finds_text_to_come(daemon, client):
    job = client.start(["sh", "-c", "sleep 0.1; printf 'now rea'; sleep 0.1; printf 'dy to go'; sleep 1000"])
    answer = client.call("job.wait", ids=[job["id"]], until={"stream": "stdout", "text": "ready"})
    assert answer["matched"] is True and answer["done"] is True and answer["jobs"][0]["state"] == "running"


@daemon_test
def test_until_finds_text_that_is_stored_already(daemon, client):
    job = client.start(child("ignore-term"))
    client.wait_text(job, "ready")
    client.wait_text(job, "ready")
    client.kill_and_wait(job)
    answer = client.call("job.wait", ids=[job["id"]], until={"stream": "stdout", "text": "ready"})
    assert answer["matched"] is True and answer["done"] is True


LONG = {"head_bytes": 8 << 20}


@daemon_test
def test_until_finds_text_far_behind_in_what_is_stored(daemon, client):
    """More than is looked at at once."""
    for rest in ("exec sleep 1000", "exit 3"):
        job = client.start(["sh", "-c", f"head -c 5000000 /dev/zero; echo ready; head -c 1000000 /dev/zero; {rest}"], output=LONG)
        procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == 6_000_006, "it is stored")
        for text, found in (("ready\n", True), ("ready to", False)):
            request = client.request("job.wait", ids=[job["id"]], until={"text": text}, inline_bytes=0)
            if not found and "sleep" in rest:
                client.kill(job, grace=0)
            answer = client.result(request)
            assert answer["matched"] is found, answer
            assert answer["done"] is (found or answer["jobs"][0]["state"] == "final"), answer


@daemon_test
def test_until_finds_text_that_ends_while_what_is_stored_is_looked_at(daemon, client):
    job = client.start(["sh", "-c", "head -c 5000000 /dev/zero; printf rea; read go; printf dy; exec sleep 1000"], output=LONG,
                       stdin="stream")
    procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == 5_000_003, "it is stored")
    waiting = client.request("job.wait", ids=[job["id"]], until={"text": "ready"})
    client.call("job.input", id=job["id"], data="\n", encoding="utf-8")
    answer = client.result(waiting)
    assert answer["matched"] is True and answer["jobs"][0]["state"] == "running", answer


@daemon_test
def test_until_not_found_ends_with_the_job(daemon, client):
    job = client.start(["sh", "-c", "echo something else; echo ready >&2"])
    answer = client.call("job.wait", ids=[job["id"]], until={"stream": "stdout", "text": "ready"})
    assert answer["matched"] is False and answer["done"] is True and answer["jobs"][0]["state"] == "final"


@daemon_test
def test_until_watches_stderr(daemon, client):
    job = client.start(["sh", "-c", "echo ready >&2; sleep 1000"])
    client.wait_text(job, "ready", "stderr")


@daemon_test
def test_until_with_a_limit(daemon, client):
    job = client.start(child("sleep", 1000))
    answer = client.call("job.wait", ids=[job["id"]], until={"stream": "stdout", "text": "x"}, limit=0.05)
    assert answer["done"] is False and answer["matched"] is False


@daemon_test
def test_until_is_for_one_job_only(daemon, client):
    jobs = [client.start(child("sleep", 1000)) for _ in range(2)]
    error = client.refused("job.wait", ids=[job["id"] for job in jobs], until={"stream": "stdout", "text": "x"})
    assert_refused(error, -32602)


@daemon_test
def test_wait_with_an_unknown_id_is_not_found(daemon, client):
    job = client.run(["true"])
    assert_refused(client.refused("job.wait", ids=[job["id"], 999_999]), NOT_FOUND)


@daemon_test
def test_wait_shows_output_where_asked(daemon, client):
    job = client.start(child("lines", 2))
    shown = client.wait(job, inline_bytes=1000)
    assert text(shown) == "line 1\nline 2\n"
    assert "data" not in client.wait(job)["stdout"]


@daemon_test
def test_many_wait_for_one(daemon, client):
    job = client.start(child("sleep", 1000))
    clients = [daemon.client() for _ in range(10)]
    requests = [c.request("job.wait", ids=[job["id"]]) for c in clients]
    clients[3].close()
    client.kill(job, grace=0)
    for i, (c, request) in enumerate(zip(clients, requests)):
        if i != 3:
            assert_reason(c.result(request)["jobs"][0], "killed")


@daemon_test
def test_one_id_twice_is_answered_twice(daemon, client):
    job = client.run(["true"])
    answer = client.call("job.wait", ids=[job["id"], job["id"]])
    assert [j["id"] for j in answer["jobs"]] == [job["id"]] * 2


@daemon_test
def test_one_answer_is_not_as_large_as_many_outputs(daemon, client):
    ids = [client.run(["true"])["id"] for _ in range(5)]
    error = client.refused("job.wait", ids=ids, inline_bytes=4 << 20)
    assert_refused(error, INVALID_PARAMS, "inline_bytes")
    most = int(error.data["why"].split(" at most")[0].split()[-1])
    assert len(client.call("job.wait", ids=ids, inline_bytes=most)["jobs"]) == 5
    assert client.refused("job.wait", ids=ids, inline_bytes=most + 1).code == INVALID_PARAMS
