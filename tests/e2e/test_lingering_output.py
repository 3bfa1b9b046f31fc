"""Whoever was given a descriptor of stored output may keep it; what it keeps counts as theirs until they close it."""

import os
import pwd

import procs
from harness import ANN, BOB, LIMIT_REACHED, SETTINGS, Skip, SystemDaemon, assert_refused
from history import at_rest

SETS = "any"
LIMIT, SIZE = 1 << 20, 900_000
BUDGET = {"head_bytes": SIZE, "tail_bytes": 0}
COPY = 401_408  # 401,000 in pages
MOST = 256  # of one user, see LINGERING_MOST


def stored(client):
    return client.call("daemon.stats")["output"]["stored_bytes"]


def is_whole(client):
    job = client.run(["head", "-c", str(SIZE), "/dev/zero"], output=BUDGET)
    assert job["stdout"]["bytes"] == SIZE
    client.call("job.forget", ids=[job["id"]])
    return job["stdout"]["gaps"] == []


def of_live(client):
    """Descriptors of the output of a job that was killed and is forgotten."""
    job = client.call("job.start", argv=["sh", "-c", f"head -c {SIZE} /dev/zero; exec sleep 1000"], lease=True,
                      output=BUDGET)["job"]
    client.call("job.output", id=job["id"], stream="stdout", follow=True, fd=True)
    fds = client.take_fds()
    procs.eventually(lambda: client.status(job)["stdout"]["bytes"] == SIZE, "it is read to its end")
    client.kill_and_wait(job)
    client.call("job.forget", ids=[job["id"]])
    return fds


def of_final(client):
    job = client.run(["head", "-c", str(SIZE), "/dev/zero"], output=BUDGET)
    client.call("job.output", id=job["id"], stream="stdout", fd=True)
    fds = client.take_fds()
    client.call("job.forget", ids=[job["id"]])
    return fds


def close(fds):
    for fd in fds:
        os.close(fd)


def archived(daemon, client):
    """A job of 900,000 bytes, once the history has it, and a descriptor of its output there."""
    job = client.run(["head", "-c", str(SIZE), "/dev/zero"], output=BUDGET)
    at_rest(daemon.client())
    if client.answer(client.request("job.status", id=job["id"])).get("result"):
        client.call("job.output", id=job["id"], stream="stdout", fd=True)
    return job["id"], client.take_fds()


def test_of_the_history():
    if SETTINGS:
        raise Skip("the history is the same in every way of starting and holding jobs")
    with SystemDaemon(["--set", f"owner_history_bytes={LIMIT}"]) as daemon:
        ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)

        def files():
            at_rest(daemon.client())
            return sorted(os.listdir(os.path.join(daemon.state, "output")))
        first, fds = archived(daemon, ann)
        ann.call("job.forget", ids=[first])
        left = f"{first}-1.{pwd.getpwnam(ANN).pw_uid}"
        assert len(fds) == 1 and files() == [left]
        other, of_other = archived(daemon, bob)
        close(of_other)
        for again in (lambda: None, daemon.kill_worker, lambda: daemon.terminate() == 0 and daemon.start()):
            again()
            ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
            assert archived(daemon, ann)[1] == [], "there is no room for it beside the one that is gone"
            assert files() == sorted([left, f"{other}.1"])
            assert bob.status({"id": other})["stdout"]["gaps"] == []
        assert os.pread(fds[0], 10, SIZE - 10) == b"\0" * 10
        close(fds)
        second, fds = archived(daemon, ann)
        assert len(fds) == 1 and files() == sorted([f"{second}.1", f"{other}.1"])
        close(fds)


def kept_by_descriptors(take):
    # Without a store: a job that the history has is read from its file there.
    with SystemDaemon(["--set", "store=none", "--set", f"owner_output_bytes={LIMIT}"]) as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        fds = take(ann)
        assert stored(ann) == stored(root) == SIZE
        assert not is_whole(ann) and is_whole(bob)
        daemon.kill_worker()
        assert SIZE <= stored(ann) < SIZE + 4096
        assert not is_whole(ann) and is_whole(bob)
        assert os.pread(fds[0], 10, SIZE - 10) == b"\0" * 10
        close(fds)
        assert is_whole(ann)
        assert stored(ann) == stored(root) == 0


def test_of_a_live_job():
    kept_by_descriptors(of_live)


def test_of_a_final_job():
    kept_by_descriptors(of_final)


def test_of_a_copy():
    """What has a gap is copied for whoever asks, from memory and from the history."""
    for in_memory in (["--set", "store=none"], []):
        with SystemDaemon(["--set", f"owner_output_bytes={LIMIT}", *in_memory]) as daemon:
            ann = daemon.client_of(ANN)
            job = ann.run(["seq", "1", "200000"], output={"head_bytes": 1000, "tail_bytes": 400_000})
            if not in_memory:
                at_rest(daemon.client())
            own = stored(ann)

            def take(client):
                return client.call("job.output", id=job["id"], stream="stdout", fd=True)["extents"]
            extents = [[0, 1000], [job["stdout"]["bytes"] - 400_000, job["stdout"]["bytes"]]]
            fds, count = [], (LIMIT - own) // COPY
            for _ in range(count):
                assert take(ann) == extents
                fds += ann.take_fds()
            assert count > 0 and stored(ann) == own + count * COPY
            for again in (lambda: None, daemon.kill_worker):
                again()
                refused = ann.refused("job.output", id=job["id"], stream="stdout", fd=True)
                assert_refused(refused, LIMIT_REACHED)
                assert refused.data["limit"] == "owner_output_bytes", refused.data
            assert os.pread(fds[0], 7, 1000 + 400_000 - 7) == b"200000\n"
            close(fds)
            assert take(ann) == extents
            close(ann.take_fds())


def test_it_is_looked_at_once_things_are_at_rest():
    with SystemDaemon(["--set", "store=none"]) as daemon:
        root, ann = daemon.client(), daemon.client_of(ANN)
        fds = of_live(ann)
        assert stored(root) == SIZE
        close(fds)
        ann.close()
        procs.eventually(lambda: stored(root) == 0, "it is given back")


def test_so_many_of_one_user():
    with SystemDaemon(["--set", "store=none"]) as daemon:
        ann, bob, fds = daemon.client_of(ANN), daemon.client_of(BOB), []
        assert ann.call("daemon.info")["limits"]["owner_lingering_outputs"] == MOST

        def share(client):
            job = client.call("job.start", argv=["sh", "-c", "echo; echo >&2; exec sleep 1000"], lease=True)["job"]
            procs.eventually(lambda: client.status(job)["stderr"]["bytes"] == 1, "both are read")
            request = client.request("job.output", id=job["id"], follow=True, fd=True)
            answer = client.answer(request)
            got = client.take_fds()
            client.kill_and_wait(job)
            client.call("job.forget", ids=[job["id"]])
            return answer, got

        for _ in range(MOST // 2):
            fds += share(ann)[1]
        assert len(fds) == MOST
        error = share(ann)[0]["error"]
        assert error["code"] == LIMIT_REACHED and error["data"]["limit"] == "owner_lingering_outputs", error
        close(share(bob)[1])
        close(fds)
        answer, fds = share(ann)
        assert "result" in answer and len(fds) == 2, answer
        close(fds)
