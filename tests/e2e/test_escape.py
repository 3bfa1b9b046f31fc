"""A job of a user without privileges can't leave its tree, nor take over what holds it, whatever it tries."""

import os
import pwd
import signal

import procs
from harness import (ANN, BOB, SETTINGS, OwnDaemon, Skip, SystemDaemon, assert_reason, child, needs_tree,
                     text)
from intruding import exterminate, install, intruding, outcomes, processes, refuse

COUNT = 500
FROZEN = "TtX"


def escape_test(function):
    """A test that gets the machine's daemon, the intruder's path, and a client of the user who tries."""
    def test():
        needs_tree()
        with SystemDaemon() as daemon:
            path = install(daemon)
            try:
                function(daemon, path, daemon.client_of(ANN))
            finally:
                exterminate(path)
    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.__module__ = function.__module__
    return test


def bystanders(daemon):
    """Jobs with processes in sessions of their own, of the same user, another one, and root. What must be left of them."""
    found = {}
    for client in (daemon.client_of(ANN), daemon.client_of(BOB), daemon.client()):
        token = f"bystander-{daemon.pid}-{len(found)}"
        job = client.start(child("bomb", 5, token))
        client.wait_text(job, "ready\n")
        found[token] = (client, job, sorted(procs.with_argument(token)))
    return found


def assert_untouched(found):
    for token, (client, job, pids) in found.items():
        assert sorted(procs.with_argument(token)) == pids and len(pids) == 6, (token, pids)
        assert client.status(job)["state"] == "running"
        client.kill_and_wait(job)
        assert procs.with_argument(token) == []


def bomb(daemon, path, client, end, **spec):
    """A bomb that is ended in that way while it goes on forking: nobody is left, and no other job has lost anybody."""
    others = bystanders(daemon)
    job = client.start([path, "bomb", str(COUNT)], **spec)
    client.wait_text(job, "ready ok\n")
    procs.eventually(lambda: len(processes(path)) > COUNT // 4, "it lives")
    end(job)
    final = client.wait(job)
    assert processes(path) == [], (final["result"], processes(path))
    assert final["result"]["survivors"] == [], final["result"]
    assert_untouched(others)
    return final


@escape_test
def test_bomb_that_is_killed(daemon, path, client):
    assert_reason(bomb(daemon, path, client, lambda job: client.kill(job, grace=0)), "killed")


@escape_test
def test_bomb_whose_deadline_passes(daemon, path, client):
    final = bomb(daemon, path, client, lambda job: client.call("job.update", id=job["id"], timeout=0.1), grace=0.1)
    assert_reason(final, "timeout")


@escape_test
def test_bomb_whose_leader_ends(daemon, path, client):
    assert_reason(bomb(daemon, path, client, lambda job: procs.kill(job["pid"])), "signaled", signal="SIGKILL")


@escape_test
def test_bomb_whose_client_is_gone(daemon, path, client):
    with daemon.client_of(ANN) as holder:
        def leave(job):
            holder.call("job.lease", id=job["id"])
            holder.close()
        assert_reason(bomb(daemon, path, client, leave), "killed")


def test_bomb_in_a_users_own_daemon():
    needs_tree()
    with OwnDaemon(ANN) as daemon:
        path, client = install(daemon), daemon.client_of(ANN)
        try:
            job = client.start([path, "bomb", str(COUNT)])
            client.wait_text(job, "ready ok\n")
            assert_reason(client.kill_and_wait(job), "killed", survivors=[])
            assert processes(path) == []
        finally:
            exterminate(path)


@escape_test
def test_leader_that_is_traced_from_within_holds_nobody_up(daemon, path, client):
    """Its end is its tracer's to read, and that never does."""
    with daemon.client_of(BOB) as other:
        job = client.start([path, "traced"])
        assert other.run(["true"])["result"]["exit_code"] == 0
        if SETTINGS.get("tree") == "reaper":  # to its parent it has not ended
            client.wait_text(job, "seize ok\n")
            client.kill(job, grace=0)
        final = client.wait(job, inline_bytes=1000)
    if "seize ok" not in text(final):
        raise Skip("a process may not be traced from within its tree here")
    assert_reason(final, final["result"]["reason"], survivors=[])
    assert processes(path) == []


@escape_test
def test_a_stop_of_one_that_asks_its_parent_to_trace_it_is_no_end(daemon, path, client):
    """wait(2) tells the tracer of it as of an end. The parent is the reaper, or the keeper once a worker has died."""
    for descendants in ("kill", "wait", "keep"):
        job = client.start([path, "tracee"], stdin="stream", descendants=descendants)
        daemon.kill_worker()
        client.call("job.input", id=job["id"], data="x")
        final = client.wait(job, inline_bytes=1000)
        assert_reason(final, "exited", exit_code=7, survivors=[])
        assert "traceme ok\ngoes-on ok\n" in text(final), text(final)


@escape_test
def test_children_that_are_given_to_the_daemon_are_reaped(daemon, path, client):
    """CLONE_PARENT makes them the leader's siblings: whoever is the parent of that must reap them."""
    lasting = client.start(["sleep", "1000"])
    before = len(procs.children(daemon.worker))
    assert text(client.run([path, "siblings", "30"])) == "siblings ok\n"
    for _ in range(16):  # so few jobs leave nothing worth a look
        client.run(["true"])
    procs.eventually(lambda: len(procs.children(daemon.worker)) <= before, "they are reaped")
    assert client.status(lasting)["state"] == "running"
    client.kill_and_wait(lasting)


@escape_test
def test_leaders_that_stand_for_their_tracer_hide_nobody(daemon, path, client):
    """The daemon is the tracer where it is their parent. What it is told of them comes ahead of others' ends, until it is read."""
    standing = [client.start([path, "tracee"], stdin="stream") for _ in range(8)]
    for job in standing:
        client.call("job.input", id=job["id"], data="x")
        procs.eventually(lambda: (procs.stat(job["pid"]) or [b"Z"])[0] in (b"t", b"Z"), "it stands, or is over")
    before = len(procs.children(daemon.worker))
    assert text(client.run([path, "siblings", "30"])) == "siblings ok\n"
    for _ in range(16):  # so few jobs leave nothing worth a look
        client.run(["true"])
    procs.eventually(lambda: len(procs.children(daemon.worker)) <= before, "they are reaped")
    for job in standing:
        client.kill_and_wait(job)


@escape_test
def test_parent_of_a_leader_is_out_of_its_reach(daemon, path, client):
    signals = [["signal", "0", str(int(number))] for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)]
    for words in (["probe"], *signals):
        tried = outcomes(text(client.run([path, *words])))
        refuse(words, *tried.values())


@escape_test
def test_daemon_is_out_of_the_reach_of_jobs_and_users(daemon, path, client):
    for pid in (daemon.pid, daemon.worker):
        for tried in (outcomes(text(client.run([path, "probe", str(pid)]))), intruding(path, BOB, "probe", pid)):
            refuse(pid, *tried.values())
        refuse(pid, *outcomes(text(client.run([path, "signal", str(pid), "19"]))).values())


def descends(pid, root):
    while pid and pid > 1 and pid != root:
        pid = procs.parent(pid)
    return pid == root


def about_to_exec(daemon):
    """The daemon's processes that are the user's already and still its program. Others on the machine have such, too."""
    found, uid = [], pwd.getpwnam(ANN).pw_uid
    for pid in procs.pids():
        status = procs.read(pid, "status")
        if status and status.startswith(b"Name:\tsupd") and b"\nUid:\t%d\t" % uid in status and \
                descends(pid, daemon.pid):
            found.append(pid)
    return found


def stuck(daemon, client, **spec):
    """A job whose child is its user's already and has not exec'ed: it opens a pipe that nobody reads. Its id and pid."""
    path = os.path.join(daemon.directory, f"fifo-{daemon.pid}-{client.last_id}")
    os.mkfifo(path)
    os.chmod(path, 0o666)
    before = set(about_to_exec(daemon))
    with daemon.client_of(ANN) as asking:
        request = client.request("job.start", argv=["true"], stdout={"file": path}, **spec)
        pid = procs.eventually(lambda: set(about_to_exec(daemon)) - before, "the child is about to exec").pop()
        job = asking.call("job.list", limit=1)["jobs"][0]
    return request, job, pid


@escape_test
def test_window_between_the_change_of_user_and_the_exec_is_closed(daemon, path, client):
    _request, job, pid = stuck(daemon, client)
    with daemon.client_of(ANN) as second, daemon.client_of(BOB) as other:
        tried = outcomes(text(second.run([path, "probe", str(pid)])))
        tried.update({f"outside {what}": how for what, how in intruding(path, ANN, "probe", pid).items()})
        assert "ok" not in tried.values() and "seize" in tried and "mem" in tried and "fd" in tried, tried
        assert outcomes(text(second.run([path, "signal", str(pid), str(int(signal.SIGSTOP))]))) == {"signal": "ok"}
        procs.eventually(lambda: procs.stat(pid)[0].decode() in FROZEN, "it is stopped")
        assert other.run(["true"])["result"]["exit_code"] == 0
        second.kill(job, grace=0)
        final = second.wait(job)
        assert final["result"]["reason"] in ("killed", "spawn_failed"), final["result"]
        assert not procs.alive(pid) and about_to_exec(daemon) == []


@escape_test
def test_launches_that_are_frozen_leave_launchers_to_others(daemon, path, client):
    path_of_pipe = os.path.join(daemon.directory, "fifo")
    os.mkfifo(path_of_pipe)
    os.chmod(path_of_pipe, 0o666)
    for _ in range(15):
        client.request("job.start", argv=["true"], stdout={"file": path_of_pipe})
    procs.eventually(lambda: about_to_exec(daemon), "some are about to exec")
    with daemon.client_of(BOB) as other, daemon.client_of(ANN) as asking:
        for pid in about_to_exec(daemon):
            intruding(path, ANN, "signal", pid, int(signal.SIGSTOP))
        for _ in range(5):
            assert other.run(["true"])["result"]["exit_code"] == 0
        jobs = [job["id"] for job in asking.call("job.list", limit=1000, states=["queued", "starting"])["jobs"]]
        assert len(jobs) == 15, len(jobs)
        asking.call("job.kill", ids=jobs, grace=0)
        assert asking.call("job.wait", ids=jobs)["done"]
    assert about_to_exec(daemon) == []
