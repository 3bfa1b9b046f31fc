"""What becomes of the rest of the tree when the leader ends: kill, wait, keep."""

import procs
from harness import assert_reason, child, daemon_test, needs_tree, text


def grandchild(job):
    return int(text(job).split("\n")[0])


def assert_survives(job, pid):
    """The result names the process; the one between it and the leader may not have ended quite yet."""
    survivors = job["result"]["survivors"]
    assert pid in survivors and len(survivors) <= 2, survivors


@daemon_test
def test_kill_leaves_nobody(daemon, client):
    needs_tree()
    job = client.run(child("fork-away"))
    assert_reason(job, "exited", exit_code=0, survivors=[], incomplete=False)
    assert not procs.alive(grandchild(job))
    assert job["stdout"]["eof"] is True


@daemon_test
def test_kill_leaves_nobody_in_the_leaders_own_group(daemon, client):
    job = client.run(child("hold-pipe", 1000))
    assert_reason(job, "exited", exit_code=0, survivors=[], incomplete=False)
    assert not procs.alive(grandchild(job))


@daemon_test
def test_kill_finds_who_has_closed_the_pipes(daemon, client):
    needs_tree()
    job = client.run(child("fork-away", "close"))
    assert_reason(job, "exited", exit_code=0, survivors=[], incomplete=False)
    assert not procs.alive(grandchild(job))


@daemon_test
def test_keep_names_the_survivor_and_does_not_wait_for_its_pipe(daemon, client):
    needs_tree()
    job = client.run(child("fork-away"), descendants="keep")
    pid = grandchild(job)
    try:
        assert procs.alive(pid)
        assert_reason(job, "exited", exit_code=0, incomplete=True)
        assert_survives(job, pid)
        assert job["stdout"]["eof"] is True
    finally:
        procs.kill(pid)
        assert procs.wait_gone(pid)


@daemon_test
def test_keep_of_one_that_closed_the_pipes_is_complete(daemon, client):
    needs_tree()
    job = client.run(child("fork-away", "close"), descendants="keep")
    pid = grandchild(job)
    try:
        assert procs.alive(pid)
        assert_reason(job, "exited", exit_code=0, incomplete=False)
        assert_survives(job, pid)
    finally:
        procs.kill(pid)
        assert procs.wait_gone(pid)


@daemon_test
def test_keep_without_descendants_has_no_survivors(daemon, client):
    job = client.run(child("lines", 2), descendants="keep")
    assert_reason(job, "exited", survivors=[], incomplete=False)
    assert text(job) == "line 1\nline 2\n"


@daemon_test
def test_wait_waits_for_the_last(daemon, client):
    needs_tree()
    job = client.run(child("fork-away", 0.7), descendants="wait")
    assert_reason(job, "exited", exit_code=0, survivors=[], incomplete=False)
    assert text(job).endswith("\nlate\n"), text(job)
    assert not procs.alive(grandchild(job))


@daemon_test
def test_wait_goes_on_after_the_pipes_are_closed(daemon, client):
    needs_tree()
    job = client.start(child("fork-away", "close"), descendants="wait")
    pid = int(client.first_line(job))
    procs.eventually(lambda: not procs.alive(job["pid"]), "the leader has ended")
    assert client.call("job.wait", ids=[job["id"]], limit=0.3)["done"] is False
    procs.kill(pid)
    assert_reason(client.wait(job), "exited", exit_code=0, survivors=[])


@daemon_test
def test_deadlines_run_on_while_waiting(daemon, client):
    needs_tree()
    job = client.run(child("fork-away"), descendants="wait", timeout=0.5, grace=0.5)
    assert not procs.alive(grandchild(job))
    assert job["state"] == "final" and job["result"]["survivors"] == []


@daemon_test
def test_kill_ends_the_wait(daemon, client):
    needs_tree()
    job = client.start(child("fork-away"), descendants="wait")
    pid = int(client.first_line(job))
    procs.eventually(lambda: not procs.alive(job["pid"]), "the leader has ended")
    client.kill(job)
    assert client.wait(job)["result"]["survivors"] == []
    assert not procs.alive(pid)


@daemon_test
def test_killing_a_keeping_job_kills_its_tree(daemon, client):
    needs_tree()
    job = client.start(child("bomb", 4, f"token-{daemon.pid}"), descendants="keep")
    client.wait_text(job, "ready\n")
    client.kill(job, grace=0)
    client.wait(job)
    procs.eventually(lambda: procs.with_argument(f"token-{daemon.pid}") == [], "the tree is gone")


@daemon_test
def test_fork_bomb_of_200_leaves_nobody_and_another_job_loses_nobody(daemon, client):
    needs_tree()
    bomb, other = f"bomb-{daemon.pid}", f"other-{daemon.pid}"
    kept = client.start(child("bomb", 50, other))
    job = client.start(child("bomb", 200, bomb))
    client.wait_text(kept, "ready\n")
    client.wait_text(job, "ready\n")
    assert len(procs.with_argument(bomb)) == 201 and len(procs.with_argument(other)) == 51
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", survivors=[])
    assert procs.with_argument(bomb) == []
    assert len(procs.with_argument(other)) == 51 and client.status(kept)["state"] == "running"
    client.kill_and_wait(kept)
    assert procs.with_argument(other) == []


@daemon_test
def test_bomb_that_is_ended_by_its_deadline(daemon, client):
    needs_tree()
    token = f"bomb-{daemon.pid}"
    assert_reason(client.run(child("bomb", 100, token), timeout=2, grace=0.2), "timeout", survivors=[])
    assert procs.with_argument(token) == []


@daemon_test
def test_tree_that_forks_while_it_is_killed(daemon, client):
    needs_tree()
    token = f"forks-{daemon.pid}"
    script = 'i=0; while [ $i -lt 3000 ]; do setsid sh -c "sleep 1000" "$0" & i=$((i+1)); ' \
             '[ $i = 20 ] && echo ready; sleep 0.01; done; wait'
    job = client.start(["sh", "-c", script, token])
    client.wait_text(job, "ready\n")
    client.kill(job, grace=0)
    assert_reason(client.wait(job), "killed", survivors=[])
    assert procs.with_argument(token) == []


@daemon_test
def test_descendants_orphaned_with_an_empty_environment_are_found(daemon, client):
    needs_tree()
    job = client.run(["env", "-i", child("fork-away")[0], "fork-away"])
    assert_reason(job, "exited", survivors=[])
    assert not procs.alive(grandchild(job))
