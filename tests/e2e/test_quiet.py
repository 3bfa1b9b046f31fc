"""What costs nothing: waiting, live jobs that are silent, children that closed their pipes."""

import time

import procs
from harness import Daemon, assert_reason, child, daemon_test, needs_tree

SPAN = 2.0  # seconds in which nothing may happen


def settled(pid):
    """Once nothing more comes of what was done before."""
    seen = [None]

    def still():
        seen.append(procs.switches(pid))
        return len(seen) > 25 and seen[-1] == seen[-25]
    procs.eventually(still, "the daemon comes to rest")


def assert_quiet(daemon, asking=None):
    asking = asking or daemon.client()  # what was written is made safe once, a while later
    procs.eventually(lambda: asking.call("daemon.stats")["history"]["safe"], "the store comes to rest")
    both = (daemon.pid, daemon.worker)
    for pid in both:
        settled(pid)
    before = [procs.switches(pid) for pid in both]
    time.sleep(SPAN)  # the time measured, no synchronization
    after = [procs.switches(pid) for pid in both]
    assert after == before, f"woke up: {before} to {after}"


@daemon_test
def test_idle_daemon_never_wakes_up(daemon, client):
    client.run(["true"])
    assert_quiet(daemon)


@daemon_test
def test_daemon_with_quiet_jobs_never_wakes_up(daemon, client):
    requests = [client.request("job.start", argv=child("sleep", 1000), timeout=900) for _ in range(200)]
    for request in requests:
        client.result(request)
    requests = [client.request("job.start", argv=child("close-pipes"), idle_timeout=900) for _ in range(20)]
    for request in requests:
        client.result(request)
    waiting = client.request("job.wait", ids=[1])
    client.call("daemon.info")
    assert_quiet(daemon)
    assert waiting not in client.answers


@daemon_test
def test_keeping_jobs_and_their_survivors_cost_nothing(daemon, client):
    needs_tree()
    job = client.start(child("hold-pipe", 1000), descendants="wait")
    client.wait_text(job, "\n")
    assert_quiet(daemon)
    client.kill_and_wait(job)


@daemon_test
def test_half_a_line_costs_nothing(daemon, client):
    half = daemon.client()
    half.send_raw(b'{"jsonrpc":"2.0","id":1,"meth')
    client.call("daemon.info")
    assert_quiet(daemon)
    half.close()


@daemon_test
def test_half_closed_connection_costs_nothing(daemon, client):
    half = daemon.client()
    half.request("job.run", argv=child("sleep", 1000))
    half.shut_writing()
    procs.eventually(lambda: client.call("job.list", states=["running"])["jobs"], "it runs")
    assert_quiet(daemon)


@daemon_test
def test_follower_that_does_not_read_costs_nothing(daemon, client):
    client.request("job.run", argv=child("flood"), follow=True)
    client.notification("job.started")
    assert_quiet(daemon)


def test_out_of_descriptors_costs_nothing():
    with Daemon(nofile=96) as daemon:
        clients = [daemon.client() for _ in range(120)]
        clients[0].call("daemon.info")
        assert_quiet(daemon, clients[0])


@daemon_test
def test_closed_pipes_cost_no_cpu(daemon, client):
    closed = client.start(child("close-pipes"))
    client.run(["true"])
    before = procs.cpu_seconds(daemon.worker)
    assert_reason(client.run(child("sleep", 2)), "exited")
    used = procs.cpu_seconds(daemon.worker) - before
    assert used < 0.2, f"{used} s of CPU while nothing happened"
    assert client.status(closed)["state"] == "running"
