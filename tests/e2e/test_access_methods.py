"""What each method of the protocol does with another's job: for root, for an administrator who is not root, for a user.

The table is whole: a method that is not in it fails the test until it is judged.
"""

import json
import re

from harness import (ANN, BOB, CONFLICT, NOT_FOUND, PERMISSION_DENIED, SystemDaemon, assert_reason,
                     assert_refused, child, system_test)

SETS = "any"
LIVE, FINAL, NEVER = "live", "final", 1 << 50
DONE, SEEN, UNSEEN = "done", "seen", "unseen"

# Params, and the outcome for root, an administrator, a user. "seen" and "unseen": it answers, with or without the other's.
TABLE = {
    "job.run": ({"argv": ["true"], "user": ANN}, DONE, PERMISSION_DENIED, PERMISSION_DENIED),
    "job.start": ({"argv": ["true"], "user": ANN}, DONE, PERMISSION_DENIED, PERMISSION_DENIED),
    "job.wait": ({"id": LIVE, "limit": 0}, SEEN, SEEN, NOT_FOUND),
    "job.status": ({"id": LIVE}, SEEN, SEEN, NOT_FOUND),
    "job.list": ({}, SEEN, SEEN, UNSEEN),
    "job.kill": ({"id": LIVE}, SEEN, SEEN, NOT_FOUND),
    "job.signal": ({"id": LIVE, "signal": "SIGCONT"}, DONE, DONE, NOT_FOUND),
    "job.output": ({"id": LIVE}, DONE, DONE, NOT_FOUND),
    "job.input": ({"id": LIVE, "data": "x"}, DONE, PERMISSION_DENIED, NOT_FOUND),
    "job.resize": ({"id": LIVE, "rows": 1, "cols": 1}, DONE, PERMISSION_DENIED, NOT_FOUND),
    "job.update": ({"id": LIVE, "labels": {}}, SEEN, PERMISSION_DENIED, NOT_FOUND),
    "job.lease": ({"id": LIVE}, SEEN, PERMISSION_DENIED, NOT_FOUND),
    "job.forget": ({"ids": [FINAL]}, DONE, DONE, NOT_FOUND),
    "event.subscribe": ({"snapshot": True}, SEEN, SEEN, UNSEEN),
    "event.unsubscribe": ({"subscription": 1}, NOT_FOUND, NOT_FOUND, NOT_FOUND),  # Ann's has this number
    "daemon.info": ({}, DONE, DONE, DONE),
    "daemon.stats": ({}, SEEN, SEEN, UNSEEN),
    "daemon.reload": ({}, DONE, DONE, PERMISSION_DENIED),
    "daemon.reexec": ({}, DONE, DONE, PERMISSION_DENIED),
    "daemon.stop": ({}, DONE, DONE, PERMISSION_DENIED),
    "rpc.discover": ({}, DONE, DONE, DONE),
}
SIGHT = {
    "job.list": lambda result, id_: id_ in [job["id"] for job in result["jobs"]],
    "event.subscribe": lambda result, id_: id_ in [job["id"] for job in result["jobs"]],
    "daemon.stats": lambda result, id_: result["jobs"]["accepted"] > 0,
}

# Every method that takes a job, with all that changes what it does before it looks for it.
TARGETED = {
    "job.wait": [{}, {"limit": 0}, {"mode": "any"}, {"until": {"text": "x"}}, {"inline_bytes": 9}],
    "job.status": [{}, {"inline_bytes": 9}],
    "job.kill": [{}, {"grace": 0}, {"signal": "SIGINT", "grace": 1}],
    "job.signal": [{"signal": "SIGTERM"}, {"signal": "SIGKILL", "to": "leader"}],
    "job.output": [{}, {"follow": True}, {"fd": True}, {"follow": True, "hold": True}, {"offset": -5},
                   {"stream": "stderr"}],
    "job.input": [{"data": "x"}, {"eof": True}, {"data": "eA==", "encoding": "base64"}],
    "job.resize": [{"rows": 5, "cols": 5}],
    "job.update": [{"timeout": 1}, {"labels": {"a": "b"}}, {"idle_timeout": None}],
    "job.lease": [{}],
    "job.forget": [{}],
}


def outcome(client, method, params, live, final):
    params = {name: live if value == LIVE else [final] if value == [FINAL] else value for name, value in params.items()}
    answer = client.answer(client.request(method, **params))
    if "error" in answer:
        return answer["error"]["code"]
    result = answer["result"]
    if method in SIGHT:
        return SEEN if SIGHT[method](result, live) else UNSEEN
    jobs = [result["job"]] if "job" in result else result["jobs"] if "jobs" in result else []
    return SEEN if isinstance(jobs, list) and live in [job["id"] for job in jobs] else DONE


def judged(daemon, column, caller):
    ann = daemon.client_of(ANN)
    assert ann.call("event.subscribe")["subscription"] == 1
    for method, (params, *outcomes) in TABLE.items():
        live = ann.start(["cat"], pty={"rows": 24, "cols": 80})["id"]
        final = ann.run(["true"])["id"]
        client = caller()
        assert outcome(client, method, params, live, final) == outcomes[column], method
        client.close()  # with what it leases
        if method == "daemon.stop" and outcomes[column] == DONE:
            return
        root = daemon.client()
        root.call("job.kill", id=live, grace=0)
        root.wait(live)
        root.close()


def test_the_table_has_every_method():
    with SystemDaemon() as daemon:
        document = daemon.client().call("rpc.discover")
    assert {method["name"] for method in document["methods"]} == set(TABLE)
    takes = {"id", "name", "ids"}
    targeted = {method["name"] for method in document["methods"]
                if takes & {param["name"] for param in method["params"]} and "argv" not in str(method["params"][0]["name"])}
    assert targeted - {"job.list"} == set(TARGETED), targeted


def test_root():
    with SystemDaemon() as daemon:
        judged(daemon, 0, daemon.client)


def test_an_administrator():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        judged(daemon, 1, lambda: daemon.client_of(BOB))


def test_a_user():
    with SystemDaemon() as daemon:
        judged(daemon, 2, lambda: daemon.client_of(BOB))


def told(client, method, params, of):
    """The line that answers, as it is, without what names the job that was asked for and the call."""
    client.request(method, **params)
    line = client.read_line().decode()
    assert "error" in json.loads(line), (method, params, line)
    line = re.sub(r'^(.*?"id": ?)%d\b' % client.last_id, r"\1CALL", line, count=1)
    return re.sub(r'(job |named |"id": ?|"job": ?")%s\b' % re.escape(str(of)), r"\1IT", line)


@system_test
def test_anothers_and_what_never_was_are_told_alike_to_the_byte(daemon, ann, bob):
    live = ann.start(["cat"], name="theirs-live", stdin="stream")["id"]
    terminal = ann.start(["cat"], name="theirs-terminal", pty={"rows": 24, "cols": 80})["id"]
    held = ann.start(child("sleep", 1000), name="theirs-held", lease=True)["id"]
    final = ann.run(["true"], name="theirs-final")["id"]
    gone = ann.run(["true"], name="theirs-gone")["id"]
    ann.call("job.forget", ids=[gone])
    for _ in range(70):
        ann.run(["true"])  # so that it is in the history alone
    own = bob.start(child("sleep", 1000))["id"]
    for method, variants in TARGETED.items():
        for params in variants:
            never = told(bob, method, target(method, NEVER) | params, NEVER)
            for id_ in (live, terminal, held, final, gone, final + 1):
                assert told(bob, method, target(method, id_) | params, id_) == never, (method, params, id_)
            if "id" in target(method, NEVER):
                nameless = told(bob, method, {"name": "no-such-name"} | params, "no-such-name")
                for name in ("theirs-live", "theirs-terminal", "theirs-held", "theirs-final", "theirs-gone"):
                    assert told(bob, method, {"name": name} | params, name) == nameless, (method, params, name)
    for method in ("job.wait", "job.kill", "job.forget"):
        several = told(bob, method, {"ids": [own, NEVER]}, NEVER)
        assert told(bob, method, {"ids": [own, live]}, live) == several, method
        several = told(bob, method, {"ids": [NEVER, own, final]}, NEVER)
        assert told(bob, method, {"ids": [live, own, final]}, live) == several, method
    assert bob.status(own)["state"] == "running" and ann.status(live)["state"] == "running"


def target(method, id_):
    return {"ids": [id_]} if method == "job.forget" else {"id": id_}


@system_test
def test_a_cursor_tells_nothing(daemon, ann, bob):
    older = ann.run(["true"])["id"]
    own = bob.run(["true"])["id"]
    live = ann.start(child("sleep", 1000))["id"]
    for before in (older, live, live + 1, live + 1000, NEVER):
        answer = bob.call("job.list", before=before, limit=1)
        assert [job["id"] for job in answer["jobs"]] == ([own] if before > own else []), answer
        assert answer["next"] is None, "there is no more of Bob's"
    assert bob.call("job.list", limit=1)["next"] is None
    assert bob.call("job.list", states=["running"]) == {"jobs": [], "next": None}
    for jobs in ([older], [live], [NEVER]):
        answer = bob.call("event.subscribe", since=0, jobs=jobs, snapshot=True)
        assert answer.pop("subscription") and answer == {"seq": 0, "jobs": []}, answer
    ann.kill_and_wait(live)
    bob.call("event.subscribe", since=0, jobs=[own], types=["job.final"])
    assert bob.notification("event")["id"] == own, "the first that comes is the one of the last subscription"


@system_test
def test_a_name_is_for_an_administrator_their_own_or_roots(daemon, ann, bob):
    root = daemon.client()
    daemon.configure({"admins": [BOB]})
    root.call("daemon.reload")
    theirs, roots = ann.start(child("sleep", 1000), name="web"), root.start(child("sleep", 1000), name="daemon")
    assert_refused(bob.refused("job.kill", name="web"), NOT_FOUND)
    assert bob.call("job.status", name="daemon")["job"]["id"] == roots["id"]
    own = bob.start(child("sleep", 1000), name="daemon")
    assert bob.call("job.kill", name="daemon", grace=0)["jobs"][0]["id"] == own["id"]
    assert_reason(bob.wait(own), "killed")
    assert root.status(roots)["state"] == ann.status(theirs)["state"] == "running"
    assert_refused(bob.refused("job.output", id=theirs["id"], follow=True, hold=True), CONFLICT)
    ann.kill_and_wait(theirs)
    root.kill_and_wait(roots)
