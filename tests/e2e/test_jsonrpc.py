"""JSON-RPC 2.0: batches, notifications, ids, errors. Single lines are in ../wire."""

import json

from harness import Closed, assert_reason, assert_refused, child, daemon_test, text

SETS = "any"


def line(method, **more):
    return {"jsonrpc": "2.0", "method": method, **more}


@daemon_test
def test_batch_is_answered_whole(daemon, client):
    answers = client.batch([("job.run", {"argv": ["echo", str(i)]}) for i in range(20)])
    for i, answer in enumerate(answers.values()):
        assert answer["result"]["job"]["state"] == "final"
    assert sorted(text(a["result"]["job"]) for a in answers.values()) == sorted(f"{i}\n" for i in range(20))


@daemon_test
def test_batch_is_answered_when_its_last_member_is(daemon, client):
    job = client.start(child("sleep", 1000))
    client.send([line("daemon.info", id="a"), line("job.wait", id="b", params={"ids": [job["id"]]})])
    assert client.call("daemon.info")["pid"] == daemon.pid
    assert not client.batches
    client.kill_and_wait(job)
    while not client.batches:
        client.pump()
    batch = client.batches.popleft()
    assert {answer["id"] for answer in batch} == {"a", "b"}


@daemon_test
def test_mixed_batch(daemon, client):
    client.send([line("daemon.info", id=1), line("daemon.info"), 5, {"foo": "bar"}, line("no.such", id="x"),
                 line("job.status", id=2, params={"id": 99}), line("no.such"), []])
    batch = client.recv()
    by_id = {}
    for answer in batch:
        by_id.setdefault(answer["id"], []).append(answer)
    assert len(batch) == 6, batch
    assert by_id[1][0]["result"]["name"] == "supd"
    assert by_id["x"][0]["error"]["code"] == -32601
    assert by_id[2][0]["error"]["code"] == 1
    assert [answer["error"]["code"] for answer in by_id[None]] == [-32600] * 3


@daemon_test
def test_batch_of_notifications_is_not_answered(daemon, client):
    client.send([line("daemon.info"), line("no.such"), line("job.start", params={"argv": ["true"], "name": "x"})])
    assert client.call("daemon.info")["pid"] == daemon.pid
    assert_reason(client.call("job.wait", name="x")["jobs"][0], "exited")


@daemon_test
def test_empty_batch_is_an_invalid_request(daemon, client):
    client.send([])
    answer = client.recv()
    assert answer["id"] is None and answer["error"]["code"] == -32600


@daemon_test
def test_batch_of_256_is_taken_and_one_of_257_is_not(daemon, client):
    answers = client.batch([("daemon.info", {})] * 256)
    assert all("result" in answer for answer in answers.values())
    client.send([line("job.start", id=i, params={"argv": ["true"]}) for i in range(257)])
    answer = client.recv()
    assert isinstance(answer, dict) and answer["id"] is None and answer["error"]["code"] == -32600, answer
    assert client.call("job.list")["jobs"] == []


@daemon_test
def test_members_of_a_batch_take_effect_in_order(daemon, client):
    answers = list(client.batch([
        ("job.start", {"argv": child("sleep", 1000), "name": "one"}),
        ("job.start", {"argv": child("sleep", 1000), "name": "one"}),
        ("job.kill", {"name": "one", "grace": 0}),
        ("job.wait", {"name": "one"}),
    ]).values())
    by_id = sorted(answers, key=lambda answer: answer["id"])
    assert by_id[0]["result"]["job"]["name"] == "one"
    assert by_id[1]["error"]["code"] == 3
    assert by_id[3]["result"]["jobs"][0]["result"]["reason"] == "killed"


@daemon_test
def test_notification_takes_effect_without_an_answer(daemon, client):
    client.notify("job.start", argv=child("sleep", 1000), name="quiet")
    job = client.call("job.wait", name="quiet", limit=0)["jobs"][0]
    client.notify("job.kill", name="quiet", grace=0)
    client.notify("job.status", id=99999)
    client.notify("job.start", argv=[])
    assert_reason(client.wait(job), "killed")
    assert not client.answers


@daemon_test
def test_same_id_twice_is_answered_twice(daemon, client):
    for _ in range(2):
        client.send(line("job.status", id="same", params={"id": 77}))
    assert [client.recv()["id"] for _ in range(2)] == ["same", "same"]


@daemon_test
def test_requests_take_effect_in_the_order_sent(daemon, client):
    for i in range(50):
        job = client.request("job.start", argv=child("sleep", 1000), name=f"n{i}")
        kill = client.request("job.kill", name=f"n{i}", grace=0)
        wait = client.request("job.wait", name=f"n{i}")
        first = client.result(job)["job"]["id"]
        assert client.result(kill)["jobs"][0]["id"] == first
        assert_reason(client.result(wait)["jobs"][0], "killed")


@daemon_test
def test_answers_come_as_they_are_ready(daemon, client):
    slow = client.request("job.run", argv=child("sleep", 1000))
    assert client.call("daemon.info")["name"] == "supd"
    assert slow not in client.answers


@daemon_test
def test_many_requests_in_one_write_and_one_in_many(daemon, client):
    lines = b"".join(json.dumps(line("daemon.info", id=1000 + i)).encode() + b"\n" for i in range(500))
    client.send_raw(lines)
    assert [client.recv()["id"] for _ in range(500)] == list(range(1000, 1500))
    whole = json.dumps(line("daemon.info", id="bytes")).encode() + b"\n"
    for i in range(len(whole)):
        client.send_raw(whole[i:i + 1])
    assert client.recv()["id"] == "bytes"


@daemon_test
def test_line_of_just_the_cap_is_taken_and_a_longer_one_is_not(daemon, client):
    cap = client.call("daemon.info")["limits"]["max_request_bytes"]
    start, end = b'{"jsonrpc":"2.0","id":"long","method":"daemon.info"', b"}"
    client.send_raw(start + b" " * (cap - 1 - len(start) - len(end)) + end + b"\n")
    assert client.recv()["result"]["name"] == "supd"
    client.send_raw(start + b" " * (cap + 2 - len(start) - len(end)) + end + b"\n")
    answer = client.recv()
    assert answer["id"] is None and answer["error"]["code"] == -32600
    client.expect_closed()
    assert daemon.client().call("daemon.info")["pid"] == daemon.pid


@daemon_test
def test_half_a_line_at_the_end_harms_nobody(daemon, client):
    half = daemon.client()
    half.send_raw(b'{"jsonrpc":"2.0","id":1,"method":"daem')
    half.shut_writing()
    assert client.call("daemon.info")["pid"] == daemon.pid
    try:
        assert half.recv()["error"]["code"] == -32700
    except Closed:
        pass


@daemon_test
def test_unknown_methods(daemon, client):
    for method in ("", "job", "job.", "job.run ", "Job.run", "rpc.nothing", "job.run\0"):
        assert_refused(client.refused(method), -32601)


@daemon_test
def test_every_method_refuses_an_unknown_param_and_names_it(daemon, client):
    for method in daemon.document.methods:
        assert_refused(client.refused(method, no_such_param=1), -32602, "no_such_param")


@daemon_test
def test_every_method_refuses_a_wrong_type_and_names_the_param(daemon, client):
    for method, described in daemon.document.methods.items():
        for param in described["params"]:
            error = client.refused(method, **{param["name"]: [{"wrong": [None]}]})
            assert error.code in (-32602, 6), (method, param["name"], error)
            assert error.data["field"].startswith(param["name"]), (method, param["name"], error.data)


@daemon_test
def test_required_params_are_named_when_they_lack(daemon, client):
    assert_refused(client.refused("job.run"), -32602, "argv")
    assert_refused(client.refused("job.start", argv=None), -32602, "argv")
    job = client.start(child("sleep", 1000))
    assert_refused(client.refused("job.signal", id=job["id"]), -32602, "signal")
    assert_refused(client.refused("job.wait", id=job["id"], until={"stream": "stdout"}), -32602, "until.text")
    assert_refused(client.refused("event.unsubscribe"), -32602, "subscription")
