"""supctl on the machine's daemon: whose jobs, as whom, and what it says to whoever may not."""

import os
import subprocess

import procs
from harness import ANN, BOB, GUARD, SETTINGS, Skip, SystemDaemon, acting_as, child


def system_daemon(**more):
    if SETTINGS:
        raise Skip("supctl is the same in every way of starting and holding jobs")
    return SystemDaemon(**more)


def supctl_of(daemon, user, *words):
    """supctl as that user, with nothing of root's left."""
    with acting_as(user) as record:
        groups = os.getgrouplist(user, record.pw_gid)
    return subprocess.run(daemon.supctl_words(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/",
                          user=record.pw_uid, group=record.pw_gid, extra_groups=groups)


def test_a_table_of_several_users_says_whose():
    with system_daemon() as daemon:
        daemon.client_of(ANN).run(["true"])
        daemon.client().run(["true"])
        head, *rows = daemon.supctl("status").stdout.decode().splitlines()
        assert head.split()[:3] == ["ID", "USER", "NAME"], head
        assert [row.split()[1] for row in rows] == ["root", ANN], rows
        head, *rows = supctl_of(daemon, ANN, "status").stdout.splitlines()
        assert head.split()[:2] == ["ID", "NAME"] and len(rows) == 1, (head, rows)


def test_another_user_has_their_own_surroundings():
    with system_daemon() as daemon:
        done = daemon.supctl("run", "-u", BOB, "--", "sh", "-c", "id -un; pwd; env", cwd="/root",
                             env=dict(os.environ, SECRET="of root", LANG="C"))
        user, cwd, *env = done.stdout.decode().splitlines()
        assert (user, cwd) == (BOB, "/"), done
        assert f"USER={BOB}" in env and "LANG=C" in env, env
        assert not [line for line in env if "SECRET" in line or "root" in line.replace("/root", "root") and "PATH" not in line]
        done = daemon.supctl("run", "-u", BOB, "-C", "/tmp", "-e", "GIVEN=1", "--", "sh", "-c", "pwd; echo $GIVEN")
        assert done.stdout == b"/tmp\n1\n", done


def test_whoever_may_not_is_told():
    with system_daemon(access={"users": [ANN]}) as daemon:
        for words in (["run", "--", "true"], ["start", "--", "true"], ["status"], ["events"], ["wait", "1"]):
            done = supctl_of(daemon, BOB, *words)
            assert done.returncode in (1, 125) and "permission_denied" in done.stderr and "access" in done.stderr, done
        assert supctl_of(daemon, ANN, "run", "--", "true").returncode == 0
        done = supctl_of(daemon, ANN, "run", "-u", "root", "--", "true")
        assert done.returncode == 125 and "user: " in done.stderr, done
        done = supctl_of(daemon, ANN, "daemon", "stop")
        assert done.returncode == 1 and "administrators" in done.stderr, done
        assert supctl_of(daemon, ANN, "run", "--", *child("exit", 7)).returncode == 7


def test_whoever_may_no_longer_is_told_in_the_middle_of_it():
    with system_daemon() as daemon:
        root, bob = daemon.client(), daemon.client_of(BOB)
        job = str(bob.start(child("sleep", 1000))["id"])
        with acting_as(BOB) as record:
            more = {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": os.getgroups(), "cwd": "/", "text": True}
        calls = [("run", "--", *child("sleep", 1000)), ("wait", job), ("logs", "-f", job), ("events",), ("attach", job)]
        running = [daemon.supctl_start(*words, **more) for words in calls]
        procs.eventually(lambda: root.call("daemon.stats")["clients"]["connected"] == 2 + len(calls), "all are there")
        daemon.configure({"users": [ANN]})
        root.call("daemon.reload")
        for process, words in zip(running, calls, strict=True):
            said = process.communicate(timeout=GUARD)[1]
            assert process.returncode in (1, 125) and "permission_denied" in said and "access" in said, (words, said)
        procs.eventually(lambda: [job_["id"] for job_ in root.call("job.list", states=["starting", "running", "stopping"])["jobs"]]
                         == [int(job)], "what run was there for is gone")
        root.call("job.kill", id=int(job), grace=0)
        root.wait(int(job))
