"""What belongs to later work is known, and refused as unsupported with its name; never ignored."""

from harness import ANN, BOB, UNSUPPORTED, OwnDaemon, acting_as, assert_refused, child, daemon_test, text

SETS = "any"
LATER = {
    "queue_timeout": 5,
    "user": "nobody",
    "restart": {"policy": "always"},
    "ready": {"text": "up"},
    "group": "builds",
    "priority": 5,
    "after": [1],
    "delay": 1,
}


@daemon_test
def test_later_fields_are_refused_by_name(daemon, client):
    for method in ("job.start", "job.run"):
        for field, value in LATER.items():
            error = client.refused(method, argv=["true"], **{field: value})
            assert error.code == UNSUPPORTED, f"{field}: {error}"
            assert error.data["field"].split(".")[0] == field, f"{field}: {error.data}"
    assert client.call("job.list")["jobs"] == []


def test_another_user_is_unsupported_by_a_users_own_daemon_whosever_it_is():
    with OwnDaemon(ANN) as daemon, acting_as(ANN):
        client = daemon.client()
        assert "user" in client.call("daemon.info")["capabilities"]["unsupported"]
        for user in (BOB, "root", "no-such-user"):
            assert_refused(client.refused("job.start", argv=["true"], user=user), UNSUPPORTED, "user")
        assert text(client.run(["id", "-un"], user=ANN)) == f"{ANN}\n"


@daemon_test
def test_later_fields_that_are_null_are_absent(daemon, client):
    job = client.run(["true"], **{field: None for field in LATER})
    assert job["result"]["exit_code"] == 0 and job["group"] == "default"


@daemon_test
def test_later_fields_of_a_wrong_type_are_invalid(daemon, client):
    assert_refused(client.refused("job.start", argv=["true"], restart=5), -32602, "restart")
    assert_refused(client.refused("job.start", argv=["true"], priority="high"), -32602, "priority")
    assert_refused(client.refused("job.start", argv=["true"], limits={"unknown": 1}), -32602, "limits.unknown")


@daemon_test
def test_stopping_without_the_jobs_is_unsupported(daemon, client):
    client.start(child("sleep", 1000))
    assert_refused(client.refused("daemon.stop", jobs="keep"), UNSUPPORTED)
    assert client.call("daemon.info")["pid"] == daemon.pid


@daemon_test
def test_what_is_unsupported_is_told_beforehand(daemon, client):
    unsupported = client.call("daemon.info")["capabilities"]["unsupported"]
    for field in LATER:
        assert any(field in name for name in unsupported), (field, unsupported)
