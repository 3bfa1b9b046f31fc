"""Two users who are not root, on the machine's daemon: neither learns of the other's jobs, nor gets anything by them."""

import os
import pwd
import re
import resource
import signal
import stat

import procs
from harness import (ANN, BOB, INVALID_PARAMS, NOT_FOUND, PERMISSION_DENIED, SystemDaemon, assert_reason, assert_refused,
                     child, system_test, text)

SETS = "any"
SECRET = "marker-of-ann"
ONE = {
    "job.status": {}, "job.output": {}, "job.kill": {}, "job.signal": {"signal": "SIGTERM"}, "job.wait": {},
    "job.input": {"data": "x"}, "job.resize": {"rows": 5, "cols": 5}, "job.update": {"timeout": 1}, "job.lease": {},
}


def secret_job(ann, **spec):
    job = ann.start(["sh", "-c", f"echo {SECRET}; exec sleep 1000"], name="shared", labels={"of": SECRET}, **spec)
    ann.wait_text(job, SECRET)
    return job


def assert_untouched(ann, job):
    now = ann.status(job)
    assert now["state"] == "running" and now["labels"] == {"of": SECRET} and now["deadlines"]["timeout"] is None, now


@system_test
def test_no_method_finds_anothers_job(daemon, ann, bob):
    job = secret_job(ann, stdin="stream")
    for by in ({"id": job["id"]}, {"name": "shared"}):
        for method, params in ONE.items():
            error = bob.refused(method, **by, **params)
            assert_refused(error, NOT_FOUND)
            assert SECRET not in str(error), error
    for params in ({"follow": True}, {"follow": True, "hold": True}, {"follow": True, "fd": True}):
        assert_refused(bob.refused("job.output", id=job["id"], **params), NOT_FOUND)
    assert_refused(bob.refused("job.wait", id=job["id"], until={"text": SECRET}), NOT_FOUND)
    assert_untouched(ann, job)


@system_test
def test_one_of_anothers_among_ones_own_and_nothing_happens(daemon, ann, bob):
    theirs, own = secret_job(ann), bob.start(child("sleep", 1000))
    for method in ("job.kill", "job.wait", "job.forget"):
        assert_refused(bob.refused(method, ids=[own["id"], theirs["id"]]), NOT_FOUND)
    assert bob.status(own)["state"] == "running"
    assert_untouched(ann, theirs)


@system_test
def test_what_does_not_exist_and_what_is_anothers_are_told_alike(daemon, ann, bob):
    job = secret_job(ann)
    def told(id_):
        error = bob.refused("job.status", id=id_)
        return error.code, re.sub(r"\d+", "N", str(error)), sorted(error.data)
    assert told(job["id"]) == told(job["id"] + 1000)


@system_test
def test_lists_and_counts_are_of_ones_own(daemon, ann, bob):
    job, own = secret_job(ann), bob.start(child("sleep", 1000))
    final = ann.run(["true"], name="shared-final")
    for filters in ({}, {"states": ["running", "final"]}, {"labels": {"of": SECRET}}, {"name": "shared"},
                    {"name": "shared-final"}, {"before": job["id"] + 100}):
        ids = [listed["id"] for listed in bob.call("job.list", **filters)["jobs"]]
        assert set(ids) <= {own["id"]}, (filters, ids)
    stats = bob.call("daemon.stats")
    assert stats["jobs"]["accepted"] == 1 and stats["jobs"]["by_state"]["running"] == 1, stats["jobs"]
    assert stats["jobs"]["by_reason"]["exited"] == 0 and stats["clients"]["connected"] == 1, stats
    assert stats["launch"]["count"] is None and stats["memory"]["rss_bytes"] is None, stats
    assert {listed["id"] for listed in daemon.client().call("job.list")["jobs"]} == {job["id"], own["id"], final["id"]}


@system_test
def test_events_are_of_ones_own(daemon, ann, bob):
    secret_job(ann)
    snapshot = bob.call("event.subscribe", since=0, snapshot=True)
    assert snapshot["jobs"] == []
    ann.run(["echo", SECRET])
    own = bob.run(["true"])
    seen = []
    while not seen or seen[-1]["type"] != "job.final":
        seen.append(bob.notification("event"))
    assert {event["job"]["id"] for event in seen} == {own["id"]} and SECRET not in str(seen), seen


@system_test
def test_names_and_keys_are_each_users_own(daemon, ann, bob):
    job = secret_job(ann, key="same")
    own = bob.start(child("sleep", 1000), name="shared", key="same")
    assert own["id"] != job["id"] and own["owner"]["user"] == BOB
    assert bob.call("job.status", name="shared")["job"]["id"] == own["id"]
    bob.kill_and_wait(own)
    assert_untouched(ann, job)


@system_test
def test_forgetting_all_is_forgetting_ones_own(daemon, ann, bob):
    job = ann.run(["true"])
    bob.run(["true"])
    bob.call("job.forget", final=True)
    assert bob.call("job.list")["jobs"] == [] and ann.status(job)["state"] == "final"


@system_test
def test_nobody_starts_a_job_as_somebody_else_but_root(daemon, ann, bob):
    for user in (ANN, "root", "0", str(pwd.getpwnam(ANN).pw_uid)):
        assert_refused(bob.refused("job.start", argv=["true"], user=user), PERMISSION_DENIED, "user")
    job = daemon.client().run(["id", "-un"], user=ANN)
    assert text(job).strip() == ANN and job["owner"]["user"] == "root", job


@system_test
def test_who_is_not_there_is_refused_and_others_are_served(daemon, ann, bob):
    root = daemon.client()
    absent = ["54321", "nobody-is-called-so", str(2**32 - 2)]
    for user in absent:
        assert_refused(root.refused("job.start", argv=["true"], user=user), INVALID_PARAMS, "user")
    users = [*absent, ANN, absent[0], BOB]
    answers = root.batch([("job.run", {"argv": ["id", "-un"], "user": user}) for user in users])
    for user, (_, answer) in zip(users, sorted(answers.items())):
        if user in absent:
            assert answer["error"]["code"] == INVALID_PARAMS and answer["error"]["data"]["field"] == "user", answer
        else:
            assert "result" in answer, answer
            assert text(answer["result"]["job"]) == user + "\n", answer


@system_test
def test_a_job_is_its_users_and_has_nothing_of_the_daemons(daemon, ann, bob):
    record = pwd.getpwnam(ANN)
    status = dict(line.split(":\t", 1) for line in text(ann.run(["cat", "/proc/self/status"])).splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(record.pw_uid)] * 4 and status["Gid"].split() == [str(record.pw_gid)] * 4, status
    assert sorted(map(int, status["Groups"].split())) == sorted(os.getgrouplist(ANN, record.pw_gid)), status["Groups"]
    assert all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")), status
    assert all(int(status[name], 16) == 0 for name in ("SigBlk", "SigIgn", "SigCgt", "ShdPnd", "SigPnd")), status
    shell = ("umask; ls /proc/self/fd | wc -l; cat /proc/self/oom_score_adj; ps -o tty= -p $$; ulimit -n; "
             "env | cut -d= -f1 | sort | tr '\\n' ' '")
    words = text(ann.run(["sh", "-c", shell])).split()
    assert words[:5] == ["0022", "4", "0", "?", "1024"], words
    assert words[5:] == ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "SUPD_JOB_ID", "USER"], words


@system_test
def test_files_are_opened_as_the_user(daemon, ann, bob):
    closed = os.path.join(daemon.directory, "closed")
    os.mkdir(closed, 0o700)
    target, link = os.path.join(closed, "target"), os.path.join(daemon.directory, "link")
    with open(target, "w", encoding="utf-8") as file:
        file.write(SECRET)
    os.symlink(target, link)
    for stage, spec in (("cwd", {"cwd": closed}), ("stdio", {"stdout": {"file": target}}),
                        ("stdio", {"stdout": {"file": link, "append": True}}), ("stdio", {"stderr": {"file": link}})):
        job = bob.run(["echo", "written"], **spec)
        assert_reason(job, "spawn_failed")
        assert (job["result"]["error"]["stage"], job["result"]["error"]["errno"]) == (stage, "EACCES"), job["result"]
    with open(target, encoding="utf-8") as file:
        assert file.read() == SECRET
    place = os.path.join(daemon.directory, "open")
    os.mkdir(place)
    os.chmod(place, 0o777)
    assert_reason(bob.run(["echo", "mine"], stdout={"file": os.path.join(place, "mine")}), "exited", exit_code=0)
    made = os.stat(os.path.join(place, "mine"))
    assert made.st_uid == pwd.getpwnam(BOB).pw_uid and stat.S_IMODE(made.st_mode) == 0o644


class CoresWanted(SystemDaemon):
    """Cores would go to the directory it stands in, or to where the machine takes them."""

    def limit(self):
        os.chdir(self.directory)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_secrets_are_in_no_core():
    with CoresWanted() as daemon:
        daemon.kill_worker(signal.SIGTRAP)
        ann = daemon.client_of(ANN)
        ann.start(["sleep", "1000"], env={"TOKEN": "secret-env"})
        daemon.kill_worker(signal.SIGTRAP)
        assert daemon.errors().count(b"killed by signal 5 ") == 2, daemon.errors()
        assert b"core dumped" not in daemon.errors(), daemon.errors()
        assert not [name for name in os.listdir(daemon.directory) if "core" in name]


def test_secrets_are_in_no_log_no_record_and_no_file():
    with SystemDaemon(["--log-level", "debug"]) as daemon:
        ann = daemon.client_of(ANN)
        job = ann.start(["sh", "-c", "read x; exec sleep 1000"], env={"TOKEN": "secret-env"}, key="k",
                        stdin={"data": "secret-stdin\n"})
        ann.refused("job.start", argv=["true"], env={"TOKEN": "secret-env"}, cwd="relative")
        final = ann.run(["no-such-program"], env={"TOKEN": "secret-env"}, stdin={"data": "secret-stdin"})
        kept = str(ann.status(job)) + str(final) + daemon.errors().decode()
        root = daemon.client()
        procs.eventually(lambda: root.call("daemon.stats")["history"]["waiting"] == 0, "all is written")
        for place, _, files in os.walk(daemon.state):
            for name in files:
                with open(os.path.join(place, name), "rb") as file:
                    kept += file.read().decode("latin-1")
                assert stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode) & 0o077 == 0, name
        assert "secret-env" not in kept and "secret-stdin" not in kept
