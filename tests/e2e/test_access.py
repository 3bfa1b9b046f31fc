"""Who administers the machine's daemon sees everybody's jobs and ends them, and gets nobody's rights by it."""

from harness import ANN, BOB, NOT_FOUND, PERMISSION_DENIED, SystemDaemon, assert_reason, assert_refused

SETS = "any"


def test_administrators_see_and_end_jobs_of_others():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
        job = ann.start(["cat"], stdin="stream")
        assert bob.status(job)["id"] == job["id"]
        assert [listed["id"] for listed in bob.call("job.list")["jobs"]] == [job["id"]]
        bob.kill(job, grace=0)
        final = ann.wait(job)
        assert_reason(final, "killed")
        bob.call("job.forget", ids=[job["id"]])
        assert_refused(ann.refused("job.status", id=job["id"]), NOT_FOUND)


def test_administrators_do_with_jobs_of_others_nothing_that_is_their_users():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        root, bob = daemon.client(), daemon.client_of(BOB)
        for owner in (root, daemon.client_of(ANN)):
            job = owner.start(["cat"], pty={"rows": 24, "cols": 80}, timeout=900)
            for method, params in (("job.input", {"data": "typed\n"}), ("job.input", {"eof": True}),
                                   ("job.resize", {"rows": 1, "cols": 1}), ("job.update", {"timeout": None}),
                                   ("job.update", {"labels": {"of": "bob"}}), ("job.lease", {})):
                assert_refused(bob.refused(method, id=job["id"], **params), PERMISSION_DENIED)
            assert_refused(bob.refused("job.start", argv=["true"], user="root"), PERMISSION_DENIED, "user")
            now = owner.status(job, inline_bytes=100)
            assert now["stdout"]["bytes"] == 0 and now["labels"] == {} and now["deadlines"]["timeout"] > 0, now
            owner.kill_and_wait(job)


def test_root_and_the_owner_may():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        for client, owner in ((root, ann), (ann, ann), (bob, bob)):
            job = owner.start(["cat"], stdin="stream")
            assert client.call("job.input", id=job["id"], data="x", eof=True) == {"accepted_bytes": 1}
            assert_reason(owner.wait(job), "exited", exit_code=0)


def test_what_the_daemon_takes_of_memory_is_for_administrators():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        assert daemon.client_of(ANN).call("daemon.stats")["memory"] == {"rss_bytes": None, "private_bytes": None}
        assert daemon.client_of(BOB).call("daemon.stats")["memory"]["rss_bytes"] > 0
