"""Who gets in to the machine's daemon is changed while they are in: by the setting, or by the user database."""

import ctypes
import os
import pwd
import shutil

import procs
from client import Closed
from harness import (ANN, BOB, INVALID_PARAMS, NOT_FOUND, PERMISSION_DENIED, Skip, SystemDaemon, assert_reason,
                     assert_refused, child, needs_root, text)

SETS = "any"
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
CREW = 4242
SHARE = 8  # of the launchers, for one user
LIBC = ctypes.CDLL(None, use_errno=True)


def reload(daemon, access):
    daemon.configure(access)
    with daemon.client() as root:
        root.call("daemon.reload")


def expect_out(client, word):
    """Told why, behind what was there already, and closed."""
    while True:
        message = client.recv()
        if "error" in message and message["id"] is None:
            break
    assert message["error"]["code"] == PERMISSION_DENIED and word in message["error"]["message"], message
    client.expect_closed()


def is_out(daemon, user):
    """Of one who knocks now."""
    with daemon.client_of(user) as client:
        try:
            client.call("daemon.info")
        except (Closed, BrokenPipeError):
            return True
        except Exception as error:
            assert getattr(error, "code", None) == PERMISSION_DENIED, error
            return True
        return False


def administers(client):
    return client.call("daemon.stats")["memory"]["rss_bytes"] is not None


def test_who_may_no_longer_is_told_and_their_jobs_run_on():
    with SystemDaemon() as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        idle, waiting, told, leased = (daemon.client_of(BOB) for _ in range(4))
        job = bob.start(child("sleep", 1000))
        tied = leased.start(child("sleep", 1000), lease=True)
        waiting.request("job.wait", id=job["id"])
        told.call("event.subscribe")
        idle.call("daemon.info")
        reload(daemon, {"users": [ANN]})
        for client in (idle, waiting, told, leased, bob):
            expect_out(client, "access")
        assert is_out(daemon, BOB)
        assert ann.call("job.list")["jobs"] == [] and not is_out(daemon, ANN)
        final = root.wait(tied)
        assert_reason(final, "killed")
        assert final["result"]["killed_by"]["by"] == "lease", final["result"]
        assert root.status(job)["state"] == "running"
        reload(daemon, {})
        bob = daemon.client_of(BOB)
        assert bob.status(job)["state"] == "running"
        bob.kill_and_wait(job)


def test_what_was_read_again_holds_after_the_workers_death():
    with SystemDaemon(access={"users": [ANN, BOB]}) as daemon:
        bob = daemon.client_of(BOB)
        bob.call("daemon.info")
        reload(daemon, {"users": [ANN], "admins": [ANN]})
        expect_out(bob, "access")
        daemon.configure({"users": [BOB]})  # nobody has said that it is to be read
        for _ in range(2):
            daemon.kill_worker()
            assert is_out(daemon, BOB)
            assert administers(daemon.client_of(ANN))


def test_administrators_come_and_go_on_the_connections_they_have():
    with SystemDaemon() as daemon:
        ann, bob, told = daemon.client_of(ANN), daemon.client_of(BOB), daemon.client_of(BOB)
        job, own = ann.start(child("sleep", 1000)), bob.start(child("sleep", 1000))
        told.call("event.subscribe")
        for admins in ([BOB], [], [f"%{pwd.getpwnam(BOB).pw_gid}"], []):
            reload(daemon, {"admins": admins})
            assert administers(bob) is bool(admins)
            seen = {listed["id"] for listed in bob.call("job.list")["jobs"]}
            if admins:
                assert seen >= {job["id"], own["id"]} and bob.status(job)["state"] == "running"
                assert bob.call("daemon.reload") == {"later": []}
            else:
                assert seen == {own["id"]}
                assert_refused(bob.refused("job.status", id=job["id"]), NOT_FOUND)
                assert_refused(bob.refused("daemon.reload"), PERMISSION_DENIED)
                assert_refused(bob.refused("daemon.stop"), PERMISSION_DENIED)
            other = ann.run(["true"])
            bob.call("job.signal", id=own["id"], signal="SIGCONT")
            if admins:
                while told.notification("event")["id"] != other["id"]:
                    pass
        last = ann.run(["true"])
        final = bob.kill_and_wait(own)
        seen = []
        while not seen or (seen[-1]["id"], seen[-1]["type"]) != (final["id"], "job.final"):
            seen.append(told.notification("event"))
        assert last["id"] not in {event["id"] for event in seen}, seen
        ann.kill_and_wait(job)


def test_who_administers_no_longer_does_not_go_on_watching_others():
    calls = [("job.wait", {}), ("job.wait", {"until": {"text": "never"}}), ("job.output", {"follow": True})]
    with SystemDaemon() as daemon:
        ann = daemon.client_of(ANN)
        job = ann.start(["sh", "-c", "read x; echo $x; exec sleep 1000"], stdin="stream")
        for method, params in calls:
            reload(daemon, {"admins": [BOB]})
            bob, other = daemon.client_of(BOB), daemon.client_of(BOB)
            own = other.start(child("sleep", 1000))
            request = other.request("job.wait", id=own["id"])
            if params.get("follow"):
                assert bob.call(method, id=job["id"], **params)["subscription"]
            else:
                bob.request(method, id=job["id"], **params)
                bob.call("daemon.info")  # so it has been taken
            reload(daemon, {})
            expect_out(bob, "administrator")
            other.kill(own, grace=0)
            assert other.result(request)["done"], "who watches nobody but oneself stays"
        ann.kill_and_wait(job)


def test_a_batch_does_not_go_on_with_rights_that_its_first_member_took():
    with SystemDaemon(access={"admins": [BOB]}) as daemon:
        bob, ann = daemon.client_of(BOB), daemon.client_of(ANN)
        job = ann.start(child("sleep", 1000))
        daemon.configure({})
        answers = bob.batch([("daemon.reload", {}), ("job.status", {"id": job["id"]}), ("daemon.stop", {})])
        assert [answer.get("error", {}).get("code") for answer in answers.values()] == [None, NOT_FOUND, PERMISSION_DENIED]
        ann.kill_and_wait(job)


class OwnDatabase(SystemDaemon):
    """With a user database of its own, in a namespace of mounts that nobody else has."""

    def __init__(self, **more):
        needs_root()
        super().__init__(**more)
        self.files = {}
        for name in ("group", "passwd"):
            self.files[name] = os.path.join(self.directory, name)
            shutil.copy(f"/etc/{name}", self.files[name])
        pid = os.fork()
        if pid == 0:
            os._exit(1 if LIBC.unshare(CLONE_NEWNS) != 0 else 0)
        if os.waitpid(pid, 0)[1] != 0:
            self.remove()
            raise Skip("needs a namespace of mounts")

    def limit(self):
        done = LIBC.unshare(CLONE_NEWNS) == 0 and LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
        for name, path in self.files.items():
            done = done and LIBC.mount(path.encode(), f"/etc/{name}".encode(), None, MS_BIND, None) == 0
        if not done:
            raise OSError(ctypes.get_errno(), "mounts")

    def write(self, name, change):
        """In place, where it is mounted from."""
        with open(f"/etc/{name}", encoding="utf-8") as file:
            lines = change(file.read().splitlines())
        with open(self.files[name], "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def crew(self, *users):
        """They are what the group has as members."""
        self.write("group", lambda lines: [*lines, f"crew:x:{CREW}:{','.join(users)}"])

    def reload(self):
        with self.client() as root:
            root.call("daemon.reload")


def test_members_of_a_group_are_those_of_the_database_as_it_is_read_again():
    with OwnDatabase(access={"groups": ["crew"]}) as daemon:
        daemon.crew(ANN, BOB)
        daemon.reload()
        ann, bob = daemon.client_of(ANN), daemon.client_of(BOB)
        assert str(CREW) in text(bob.run(["id", "-G"])).split()
        daemon.crew(ANN)
        daemon.reload()
        expect_out(bob, "access")
        assert is_out(daemon, BOB)
        assert str(CREW) in text(ann.run(["id", "-G"])).split()
        daemon.crew(BOB)
        daemon.reload()
        expect_out(ann, "access")
        assert is_out(daemon, ANN) and not is_out(daemon, BOB)


def test_administrators_of_a_group_likewise():
    with OwnDatabase(access={"admins": ["%crew"]}) as daemon:
        bob, ann = daemon.client_of(BOB), daemon.client_of(ANN)
        job = ann.start(child("sleep", 1000))
        for users in ([BOB], [ANN], [ANN, BOB], []):
            daemon.crew(*users)
            daemon.reload()
            for client, user in ((ann, ANN), (bob, BOB)):
                procs.eventually(lambda: administers(client) is (user in users), f"{user} is what the group says: {users}")
        ann.kill_and_wait(job)


def test_who_is_gone_from_the_database_is_out():
    with OwnDatabase() as daemon:
        root, ann, bob = daemon.client(), daemon.client_of(ANN), daemon.client_of(BOB)
        job = ann.start(child("sleep", 1000))
        root.run(["true"], user=ANN)
        daemon.write("passwd", lambda lines: [line for line in lines if not line.startswith(ANN + ":")])
        daemon.reload()
        expect_out(ann, "access")
        assert is_out(daemon, ANN) and not is_out(daemon, BOB)
        assert text(bob.run(["echo", "served"])) == "served\n"
        assert_refused(root.refused("job.start", argv=["true"], user=ANN), INVALID_PARAMS, "user")
        root.kill_and_wait(job)


def launched_by_the_next_worker(daemon, change, **spec):
    """A job of ANN's that waits for its launch while the user database is changed and the worker dies: how it ended."""
    root, ann = daemon.client(), daemon.client_of(ANN)
    fifo = os.path.join(daemon.directory, "fifo")  # whoever opens it waits for a reader, before the exec
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    for _ in range(SHARE):
        ann.request("job.start", argv=["true"], stdout={"file": fifo})
    ann.request("job.start", argv=["id", "-u"], name="waits", **spec)
    procs.eventually(lambda: len(root.call("job.list", states=["starting"])["jobs"]) == SHARE + 1, "all are accepted")
    daemon.write("passwd", change)
    daemon.kill_worker(at_rest=False)
    root = daemon.client()
    jobs = root.call("job.list")["jobs"]
    job = root.wait(next(job for job in jobs if job["name"] == "waits"), inline_bytes=16)
    root.call("job.kill", ids=[stuck["id"] for stuck in jobs if stuck["id"] != job["id"]], grace=0)
    return job


def test_a_launch_that_waits_is_its_users_whoever_is_called_by_their_number():
    with OwnDatabase() as daemon:
        bob, number = pwd.getpwnam(BOB), str(pwd.getpwnam(ANN).pw_uid)
        called_so = f"{number}:x:{bob.pw_uid}:{bob.pw_gid}::/:/bin/sh"
        job = launched_by_the_next_worker(daemon, lambda lines: [*lines, called_so], user=number)
        assert text(job) == f"{number}\n", job


def test_a_launch_that_waits_is_not_made_for_who_is_gone_from_the_database():
    def gone(lines):
        return [line for line in lines if not line.startswith(ANN + ":")]
    with OwnDatabase() as daemon:
        assert_reason(launched_by_the_next_worker(daemon, gone), "spawn_failed")
    number = pwd.getpwnam(ANN).pw_uid
    with OwnDatabase(access={"users": [number]}) as daemon:
        assert text(launched_by_the_next_worker(daemon, gone)) == f"{number}\n"
