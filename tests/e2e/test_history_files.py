"""The files of the history: damaged, gone, of another version, on a disk that is full or can't be written."""

import glob
import os
import shutil
import sqlite3
import subprocess

import procs
from client import INTERNAL_ERROR, LIMIT_REACHED
from harness import Daemon, Skip, assert_reason, daemon_test, needs_root
from history import again, at_rest

SETS = "any"


def damage(kind, path):
    with open(path, "r+b") as file:
        if kind == "header":
            file.write(b"this is no database")
        elif kind == "middle":
            file.seek(4096 * 2)
            file.write(os.urandom(4096 * 3))
        elif kind == "truncated":
            file.truncate(5000)
        elif kind == "empty":
            file.truncate(0)


def test_a_damaged_file_is_moved_aside():
    for kind in ("header", "middle", "truncated", "empty"):
        with Daemon() as daemon:
            client = daemon.client()
            for i in range(70):
                client.run(["true"], name=f"job{i}")
            daemon.terminate()
            damage(kind, os.path.join(daemon.state, "history.db"))
            with again(daemon.directory) as second:
                known = second.client()
                assert known.run(["echo", kind])["result"]["exit_code"] == 0
                at_rest(known)
                assert known.call("daemon.info")["capabilities"]["store_trouble"] is None
                if kind != "empty":
                    procs.eventually(lambda: b"moved aside" in second.errors(), f"it is said: {kind}")
                    assert glob.glob(os.path.join(second.state, "history.db.damaged-*")), kind
                assert known.start(["true"])["id"] > 70, "no id is given twice"


def test_damage_that_is_found_later_is_moved_aside_then():
    with Daemon() as daemon:
        client = daemon.client()
        for i in range(100):
            client.run(["true"], name=f"job{i}")
        daemon.terminate()
        with again(daemon.directory) as second:
            known = second.client()
            last = known.run(["echo", "kept"])["id"]
            at_rest(known)
            with open(os.path.join(second.state, "history.db"), "r+b") as file:
                file.seek(4096)
                file.write(b"\xff" * (os.fstat(file.fileno()).st_size - 4096))
            answer = known.answer(known.request("job.list", limit=1000))  # whoever reads it finds out
            assert "result" in answer or answer["error"]["code"] == INTERNAL_ERROR, answer
            procs.eventually(lambda: b"moved aside" in second.errors(), "it is said")
            at_rest(known)
            assert known.call("daemon.info")["capabilities"]["store_trouble"] is None
            second.expect_clean = False
            second.destroy()
            with again(daemon.directory) as third:
                client = third.client()
                assert client.call("job.status", id=last, inline_bytes=9)["job"]["stdout"]["data"] == "kept\n"
                assert client.start(["true"])["id"] > last
                assert len(glob.glob(os.path.join(third.state, "history.db.damaged-*[0-9]"))) == 1


@daemon_test
def test_files_that_are_taken_away_are_made_again(daemon, client):
    job = client.run(["echo", "kept"])
    at_rest(client)
    shutil.rmtree(daemon.state)
    large = client.run(["seq", "1", "20000"])  # whoever writes it finds out
    procs.eventually(lambda: b"history.db is gone" in daemon.errors(), "it is said")
    at_rest(client)
    daemon.expect_clean = False
    daemon.destroy()
    with again(daemon.directory) as second:
        known = second.client()
        assert known.call("job.status", id=job["id"], inline_bytes=9)["job"]["stdout"]["data"] == "kept\n"
        assert known.call("job.status", id=large["id"])["job"]["stdout"] == {k: large["stdout"][k]
                                                                           for k in ("bytes", "gaps", "eof")}
        assert known.start(["true"])["id"] > large["id"]


@daemon_test
def test_what_is_written_is_made_safe_though_more_keeps_coming(daemon, client):
    """Of all that is written the file itself is what a checkpoint writes, which the thread makes every other second; one
    that SQLite makes of itself would come at a log of 16 MB."""
    client.run(["true"])
    at_rest(client)
    path = os.path.join(daemon.state, "history.db")
    before = os.stat(path).st_mtime_ns

    def is_written():
        client.run(["sleep", "0.02"])
        assert os.stat(path + "-wal").st_size < 14 << 20
        return os.stat(path).st_mtime_ns != before
    procs.eventually(is_written, "a checkpoint")


@daemon_test
def test_outputs_that_nobody_knows_go(daemon, client):
    job = client.run(["seq", "1", "20000"])
    daemon.terminate()
    outputs = os.path.join(daemon.state, "output")
    kept = [f"{job['id']}.1"]
    for name in ("4711.1", "4711.2", f"{job['id']}.2.part", "junk"):
        with open(os.path.join(outputs, name), "w", encoding="utf-8") as file:
            file.write("of a job that never was")
    aside = os.path.join(daemon.state, "history.db.damaged-1234567890")
    with open(aside, "w", encoding="utf-8") as file:
        file.write("it may know them")
    with again(daemon.directory) as second:
        at_rest(second.client())
        assert len(os.listdir(outputs)) == 5, os.listdir(outputs)
    os.unlink(aside)
    with again(daemon.directory) as third:
        procs.eventually(lambda: os.listdir(outputs) == kept, "they are gone")
        assert third.client().call("job.status", id=job["id"])["job"]["stdout"]["gaps"] == []


@daemon_test
def test_an_output_that_is_cut_short_is_a_gap(daemon, client):
    """Of a job that memory has, and of one that is read from the history."""
    worker = daemon.worker
    jobs = [client.run(["seq", "1", "20000"]) for _ in range(4)]
    at_rest(client)
    total = jobs[0]["stdout"]["bytes"]
    for job in jobs:
        client.call("job.output", id=job["id"])
        os.truncate(os.path.join(daemon.state, "output", f"{job['id']}.1"), 4096)
    whole, pieces, text, file = (job["id"] for job in jobs)
    out = client.call("job.status", id=whole, inline_bytes=1 << 20)["job"]["stdout"]
    assert (out["gaps"], out["data"], out["cut"]) == ([[0, total]], "", [0, total]), out
    answer = client.call("job.output", id=pieces, limit_bytes=1 << 20)
    assert "".join(chunk["data"] for chunk in answer["chunks"]) == "".join(f"{i}\n" for i in range(1, 20001))[:4096]
    assert answer["gaps"] == [{"stream": "stdout", "start": 4096, "end": total}] and answer["eof"], answer["gaps"]
    assert client.call("job.wait", ids=[text], until={"text": "20000"})["matched"] is False
    client.call("job.output", id=file, stream="stdout", fd=True)
    for fd in client.take_fds():
        with os.fdopen(fd, "rb") as stream:
            assert len(stream.read()) == 4096
    assert daemon.worker == worker, "it lives"
    daemon.terminate()
    with again(daemon.directory) as second:
        out = second.client().call("job.status", id=whole, inline_bytes=1 << 20)["job"]["stdout"]
        assert (out["gaps"], out["bytes"]) == ([[0, total]], total), out


@daemon_test
def test_damaged_files_do_not_pile_up(daemon, client):
    client.run(["true"])
    daemon.terminate()
    for time in range(1000, 1003):
        for ending in ("", "-wal"):
            with open(os.path.join(daemon.state, f"history.db.damaged-{time}{ending}"), "wb") as file:
                file.write(b"damaged")
    damage("header", os.path.join(daemon.state, "history.db"))
    with again(daemon.directory) as second:
        second.client().run(["true"])
        aside = sorted(glob.glob(os.path.join(second.state, "history.db.damaged-*")))
        assert len([path for path in aside if not path.endswith(("-wal", "-shm"))]) == 3, aside
        assert not [path for path in aside if "-1000" in path], aside


@daemon_test
def test_a_file_of_an_older_supd_is_gone_on_with(daemon, client):
    job = client.call("job.run", argv=["echo", "old"], name="old", labels={"a": "1"})["job"]
    daemon.terminate()
    with sqlite3.connect(os.path.join(daemon.state, "history.db")) as db:
        db.executescript("DROP INDEX job_owner_ended; DROP INDEX job_owner; DROP INDEX job_name_of_any;"
                         "CREATE INDEX job_ended ON job (ended) WHERE final; PRAGMA user_version = 1;"
                         "CREATE TABLE old (name TEXT NOT NULL, value TEXT NOT NULL, job INTEGER NOT NULL,"
                         " PRIMARY KEY (name, value, job)) WITHOUT ROWID;"
                         "INSERT INTO old SELECT name, value, job FROM label; DROP TABLE label;"
                         "ALTER TABLE old RENAME TO label; CREATE INDEX label_job ON label (job);"
                         + "".join(f"ALTER TABLE job DROP COLUMN {name};"
                                   for name in ("usage_from", "read_bytes", "written_bytes", "peak_bytes")))
    db.close()
    os.unlink(os.path.join(daemon.state, "numbers"))  # it had none
    with again(daemon.directory) as second:
        known = second.client()
        assert known.call("job.list", labels={"a": "1"}, name="old")["jobs"][0]["id"] == job["id"]
        assert known.status(job)["result"]["usage"]["read_bytes"] is None, "it was not counted then"
        assert known.start(["true"])["id"] > job["id"]
        assert b"damaged" not in second.errors()
        second.terminate()
    with sqlite3.connect(os.path.join(daemon.state, "history.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('job_owner_ended', 'job_owner')"
                          ).fetchone() == (2,)
    db.close()


@daemon_test
def test_trouble_with_outputs_is_said_to_be_theirs(daemon, client):
    client.run(["true"])
    at_rest(client)
    outputs = os.path.join(daemon.state, "output")
    os.rmdir(outputs)
    with open(outputs, "w", encoding="utf-8") as file:
        file.write("in the way")
    job = client.run(["seq", "1", "20000"])
    trouble = procs.eventually(lambda: client.call("daemon.info")["capabilities"]["store_trouble"], "it is said")
    assert trouble == f"{outputs}: Not a directory", trouble
    os.unlink(outputs)
    at_rest(client)
    assert client.call("daemon.info")["capabilities"]["store_trouble"] is None
    assert client.call("job.status", id=job["id"])["job"]["durable"] is True
    assert os.listdir(outputs) == [f"{job['id']}.1"]
    shutil.rmtree(outputs)
    other = client.run(["seq", "1", "20000"])
    at_rest(client)
    assert os.listdir(outputs) == [f"{other['id']}.1"]


def test_a_file_of_a_newer_supd_is_left_alone():
    with Daemon() as daemon:
        daemon.client().run(["true"])
        daemon.terminate()
        with sqlite3.connect(os.path.join(daemon.state, "history.db")) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with again(daemon.directory) as second:
            client = second.client()
            assert client.run(["true"])["result"]["exit_code"] == 0
            info = client.call("daemon.info")["capabilities"]
            assert info["store"] == "memory" and "history.db" in info["store_trouble"], info
            assert client.start(["true"])["id"] > 1, "no id is given twice"
            second.terminate()
        with sqlite3.connect(os.path.join(daemon.state, "history.db")) as db:
            assert db.execute("SELECT count(*) FROM job").fetchone() == (1,)
        db.close()


class SmallDisk:
    """A file system with so much room, for the state directory."""

    def __init__(self, size):
        needs_root()
        self.size = size

    def __enter__(self):
        self.daemon = Daemon()
        os.makedirs(self.daemon.state, mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0700", "supd-test",
                               self.daemon.state], capture_output=True)
        if done.returncode != 0:
            raise Skip("no tmpfs can be mounted here")
        return self.daemon

    def __exit__(self, *failure):
        subprocess.run(["umount", "-l", self.daemon.state], check=False)
        shutil.rmtree(self.daemon.directory, ignore_errors=True)


def fill(directory):
    """Takes all that is left of the disk."""
    with open(os.path.join(directory, "ballast"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk_stops_nobody():
    with SmallDisk("2M") as daemon:
        with daemon:
            client = daemon.client()
            client.run(["true"])
            at_rest(client)
            fill(daemon.state)
            job = client.run(["seq", "1", "100000"])
            assert_reason(job, "exited", exit_code=0)
            procs.eventually(lambda: client.call("daemon.info")["capabilities"]["store_trouble"], "it is said")
            assert client.call("job.status", id=job["id"])["job"]["stdout"]["bytes"] == job["stdout"]["bytes"]
            assert b"can't be written" in daemon.errors()
            assert client.run(["echo", "on"])["durable"] is False
            daemon.kill_worker()
            assert client.call("job.status", id=job["id"])["job"]["result"]["exit_code"] == 0
            os.unlink(os.path.join(daemon.state, "ballast"))
            procs.eventually(lambda: client.call("daemon.info")["capabilities"]["store_trouble"] is None, "it works again")
            at_rest(client)
            assert client.call("job.status", id=job["id"])["job"]["durable"] is True


def stays_without(daemon):
    with again(daemon.directory) as second:
        client = second.client()
        for _ in range(2):
            assert_reason(client.run(["seq", "1", "20000"]), "exited", exit_code=0)
            info = client.call("daemon.info")["capabilities"]
            assert info["store"] == "memory" and daemon.state in info["store_trouble"], info
            second.kill_worker()
        assert b"no history" in second.errors()


def test_a_disk_that_is_read_only_stops_nobody():
    with SmallDisk("2M") as daemon, daemon:
        first = daemon.client().run(["true"])
        daemon.terminate()
        subprocess.run(["mount", "-o", "remount,ro", daemon.state], check=True)
        stays_without(daemon)
        subprocess.run(["mount", "-o", "remount,rw", daemon.state], check=True)
        with again(daemon.directory) as third:
            assert third.client().call("job.status", id=first["id"])["job"]["result"]["exit_code"] == 0


def test_a_full_disk_can_refuse():
    with SmallDisk("2M") as daemon:
        daemon.options = ["--set", "store_full=refuse"]
        with daemon:
            client = daemon.client()
            fill(daemon.state)
            client.run(["seq", "1", "100000"])
            procs.eventually(lambda: client.call("daemon.info")["capabilities"]["store_trouble"], "it is said")
            error = client.refused("job.start", argv=["true"])
            assert error.code == LIMIT_REACHED and error.data["limit"] == "store", error
            os.unlink(os.path.join(daemon.state, "ballast"))
            procs.eventually(lambda: client.call("daemon.info")["capabilities"]["store_trouble"] is None, "it works again")
            assert client.run(["true"])["result"]["exit_code"] == 0


def test_a_state_directory_that_is_not_writable_is_said():
    with Daemon() as daemon:
        daemon.client().run(["true"])
        daemon.terminate()
        path = os.path.join(daemon.state, "history.db")
        for name in glob.glob(path + "*"):
            os.unlink(name)
        os.mkdir(path)
        with again(daemon.directory) as second:
            client = second.client()
            assert client.run(["true"])["result"]["exit_code"] == 0
            assert client.call("daemon.info")["capabilities"]["store_trouble"]
            assert b"no history" in second.errors()
