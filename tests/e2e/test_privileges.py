"""What jobs may gain: the setting privileges."""

from harness import Daemon, daemon_test, text

STATUS = ["grep", "NoNewPrivs", "/proc/self/status"]


def test_no_new_privileges_for_any_job():
    with Daemon(["--set", "privileges=no_new"]) as daemon:
        client = daemon.client()
        assert client.call("daemon.info")["capabilities"]["privileges"] == "no_new"
        assert text(client.run(STATUS)).split() == ["NoNewPrivs:", "1"]
        daemon.kill_worker()
        assert text(client.run(STATUS)).split() == ["NoNewPrivs:", "1"]


@daemon_test
def test_privileges_are_a_users_own_otherwise(daemon, client):
    assert client.call("daemon.info")["capabilities"]["privileges"] == "any"
    with open("/proc/self/status", encoding="ascii") as file:
        own = [line.split() for line in file if line.startswith("NoNewPrivs")]
    assert text(client.run(STATUS)).split() == own[0]
