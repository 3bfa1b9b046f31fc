"""supctl starts the user's daemon where none runs: one only, however many race."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

import procs
from harness import GUARD, SUPCTL, SUPD, child

SETS = "any"


class Home:
    """A private place for everything of a user's daemon; ends the daemon it finds there."""

    def __enter__(self):
        procs.become_subreaper()
        self.path = tempfile.mkdtemp(prefix="supd-home-")
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("SUPD_", "SUPCTL_", "XDG_"))}
        for name, folder in (("XDG_RUNTIME_DIR", "run"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"),
                             ("HOME", "home")):
            self.environment[name] = os.path.join(self.path, folder)
            os.mkdir(self.environment[name], 0o700)
        self.environment["PATH"] = os.path.dirname(SUPD) + ":" + os.environ["PATH"]
        return self

    def start(self, *words):
        return subprocess.Popen([SUPCTL, "--user", *map(str, words)], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=GUARD)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def daemons(self):
        """The daemons of this home: processes of supd that are no child of another one."""
        mine = []
        for pid in procs.of_executable(SUPD):
            environment = procs.read(pid, "environ") or b""
            if self.path.encode() in environment or any(self.path.encode() in word for word in procs.command(pid)):
                mine.append(pid)
        return [pid for pid in mine if procs.parent(pid) not in mine]

    def __exit__(self, *failure):
        for pid in self.daemons():
            procs.kill(pid, signal.SIGTERM)
            if not procs.wait_gone(pid):
                procs.kill(pid)
        left = procs.reap_orphans()
        shutil.rmtree(self.path, ignore_errors=True)
        if failure[1] is None:
            assert not left, f"left behind: {left}"


def test_first_command_starts_the_daemon():
    with Home() as home:
        assert home.daemons() == []
        done = home.run("run", "--", "echo", "hello")
        assert (done.returncode, done.stdout) == (0, b"hello\n"), done
        assert done.stderr == b"", done
        assert len(home.daemons()) == 1
        assert json.loads(home.run("info", "--json").stdout)["pid"] == home.daemons()[0]
        assert os.path.exists(os.path.join(home.path, "run/supd/socket"))


def test_8_that_race_start_exactly_one():
    with Home() as home:
        racers = [home.start("start", "--", *child("sleep", 1000)) for _ in range(8)]
        ids = set()
        for racer in racers:
            out, err = racer.communicate(timeout=GUARD)
            assert racer.returncode == 0, (racer.returncode, out, err)
            ids.add(int(out))
        assert len(ids) == 8, ids
        assert len(home.daemons()) == 1, home.daemons()
        listed = [json.loads(line)["id"] for line in home.run("status", "--json").stdout.splitlines()]
        assert set(listed) == ids


def test_no_autostart():
    with Home() as home:
        done = home.run("--no-autostart", "info")
        assert done.returncode == 1 and done.stderr.startswith(b"supctl: "), done
        home.environment["SUPCTL_NO_AUTOSTART"] = "1"
        assert home.run("info").returncode == 1
        assert home.run("run", "--", "true").returncode == 125
        assert home.daemons() == []


def test_daemon_holds_nothing_of_the_one_who_started_it():
    with Home() as home:
        # communicate() returns at the end of the pipes: a daemon that held them would hang it.
        assert home.run("start", "--", *child("sleep", 1000)).returncode == 0
        pid = home.daemons()[0]
        assert int(procs.stat(pid)[3]) != os.getsid(0), "in a session of its own"
        for fd in ("0", "1", "2"):
            assert not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")


def test_stale_socket_does_not_hinder():
    with Home() as home:
        assert home.run("run", "--", "true").returncode == 0
        pid = home.daemons()[0]
        worker = procs.children(pid)[0]
        procs.kill(pid, signal.SIGSTOP)
        for each in (worker, pid):  # before it can end in order
            procs.kill(each, signal.SIGKILL)
            assert procs.wait_gone(each)
        done = home.run("run", "--", "echo", "again")
        assert (done.returncode, done.stdout) == (0, b"again\n"), done
        assert home.daemons() != [pid] and len(home.daemons()) == 1


def test_daemon_ended_by_its_client():
    with Home() as home:
        assert home.run("run", "--", "true").returncode == 0
        pid = home.daemons()[0]
        assert home.run("rpc", "daemon.stop").returncode == 0
        assert procs.wait_gone(pid) and home.daemons() == []
