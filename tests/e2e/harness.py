"""A private daemon for one test, and what tests share.

The programs under test: SUPD, SUPCTL and SUPD_CHILD in the environment, else those under build/.
SUPD_TEST_SET ("tree=reaper,spawn=plain") is given to each daemon as --set options.
"""

import atexit
import contextlib
import json
import os
import pwd
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import procs
from client import (CONFLICT, INVALID_PARAMS, LIMIT_REACHED, NOT_FOUND, PERMISSION_DENIED, SHUTTING_DOWN,
                    UNSUPPORTED, Client, Closed, RpcError, data_of)
from jsonschema_min import Document

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUPD = os.path.abspath(os.environ.get("SUPD", os.path.join(TOP, "build/daemon/supd")))
SUPCTL = os.path.abspath(os.environ.get("SUPCTL", os.path.join(TOP, "build/client/supctl")))
CHILD = os.path.abspath(os.environ.get("SUPD_CHILD", os.path.join(TOP, "build/tests/child")))
TICKER = os.path.join(os.path.dirname(CHILD), "ticker")
SETTINGS = dict(pair.split("=", 1) for pair in os.environ.get("SUPD_TEST_SET", "").split(",") if pair)
GUARD = procs.GUARD
ANN, BOB = "games", "nobody"  # two users that a Debian has, neither of whom is root
os.umask(0o022)  # settings that others can write to are refused
SANITIZER = (b"Sanitizer", b"runtime error:", b"LeakSanitizer")


class Skip(Exception):
    """This test says nothing here, and why."""


def public(program, beside=None):
    """The program where every user may execute it: a checkout may stand below a directory of one user alone. `beside`: a
    file that it looks for below its own directory."""
    place = os.path.realpath(program) if os.path.exists(program) else "/"
    while place != "/":
        if not os.stat(place).st_mode & 0o001:
            directory = tempfile.mkdtemp(prefix="supd-child-")
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            os.chmod(directory, 0o755)
            if beside:
                os.mkdir(os.path.join(directory, os.path.dirname(beside)))
                shutil.copy(os.path.join(os.path.dirname(program), beside), os.path.join(directory, beside))
            return shutil.copy(program, directory)
        place = os.path.dirname(place)
    return program


PUBLIC_CHILD, PUBLIC_SUPCTL, PUBLIC_SUPD = public(CHILD), public(SUPCTL), public(SUPD, "os/supd-reaper")


def child(*arguments):
    """The argv that runs the helper child."""
    return [PUBLIC_CHILD, *map(str, arguments)]


def needs_tree():
    """Skips where descendants that leave the process group can't be found."""
    if SETTINGS.get("tree") == "none":
        raise Skip("tree=none finds no escaped descendants")


def needs_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def cgroup_writable():
    """Whether a cgroup can be made below this process's own in a cgroup v2 hierarchy."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        own = next((line.strip()[3:] for line in file if line.startswith("0::")), None)
    if not mounts or own is None:
        return False
    probe = f"{mounts[0]}/{own}/supd-e2e-{os.getpid()}"
    try:
        os.mkdir(probe)
        os.rmdir(probe)
        return True
    except OSError:
        return False


def is_sanitized():
    with open(SUPD, "rb") as file:
        return b"__asan_init" in file.read() or b"__tsan_init" in file.read()


def sanitizer_reports(text):
    return [line for line in text.splitlines() if any(word in line for word in SANITIZER)]


class Daemon:
    """supd with its own directory, from entering to leaving a with statement.

    Leaving it asserts a clean end: exit 0 at SIGTERM, nothing left running, no report of a sanitizer.
    """

    def __init__(self, options=(), nofile=None, environment=None, directory=None, expect_clean=True):
        self.directory = directory or tempfile.mkdtemp(prefix="supd-e2e-")
        self.own_directory = directory is None
        self.run = os.path.join(self.directory, "run")
        self.state = os.path.join(self.directory, "state")
        self.socket = os.path.join(self.run, "socket")
        self.config = os.path.join(self.directory, "supd.json")
        self.log = os.path.join(self.directory, f"stderr.{time.monotonic_ns()}")
        self.program = SUPD
        self.options = list(options)
        self.nofile = nofile
        self.environment = environment
        self.expect_clean = expect_clean
        self.process = None
        self.document = None
        self.clients = []

    def command(self):
        words = [self.program, "--user", "--socket", self.socket, "--state-dir", self.state, "--runtime-dir", self.run,
                 "--config", self.config]
        for name, value in SETTINGS.items():
            words += ["--set", f"{name}={value}"]
        return words + self.options

    def limit(self):
        if self.nofile:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

    def spawn(self, **more):
        """Starts the process alone; for daemons that must refuse to start."""
        if "user" in more:
            self.program = PUBLIC_SUPD
        if not os.path.exists(self.config):
            with open(self.config, "w", encoding="utf-8") as file:
                file.write("{}\n")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, preexec_fn=self.limit, cwd="/", **more)
        return self.process

    @property
    def pid(self):
        return self.process.pid

    @property
    def worker(self):
        """The pid of the event loop; the keeper's is `pid`. None: there is none now."""
        if "--no-keeper" in self.options:
            return self.pid
        found = [pid for pid in procs.children(self.pid) if procs.name(pid) == "supd-worker"]
        return found[0] if found else None

    def kill_worker(self, number=signal.SIGKILL, at_rest=True):
        """The worker dies; another is there when this comes back. At rest it has nothing half done: a connection that
        was answered just now but is still marked as busy would be closed."""
        before = self.worker
        if at_rest:
            procs.eventually(lambda: procs.in_epoll_wait(before), "the worker is at rest")
        procs.kill(before, number)
        procs.eventually(lambda: self.worker not in (None, before), "another worker is there")

    def destroy(self):
        """SIGKILL for both at once: as if the machine had failed."""
        worker = self.worker
        procs.kill(self.pid, signal.SIGSTOP)  # it must not start another, nor the worker see it go
        procs.kill(worker, signal.SIGKILL)
        procs.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        procs.eventually(lambda: procs.ended(worker), "the worker is gone, and what it had open")

    def errors(self):
        with open(self.log, "rb") as file:
            return file.read()

    def connect_once_up(self):
        """The first connection that succeeds; the process's end is noticed at once."""
        until = time.monotonic() + GUARD
        end = os.pidfd_open(self.pid)
        try:
            while True:
                try:
                    return Client(self.socket)
                except (FileNotFoundError, ConnectionRefusedError):
                    pass
                if select.select([end], [], [], 0.005)[0]:
                    text = self.errors().decode(errors="replace")
                    raise AssertionError(f"supd ended with {self.process.wait()} at its start:\n{text}")
                assert time.monotonic() < until, "supd opens no socket"
        finally:
            os.close(end)

    def start(self):
        if SETTINGS.get("tree") == "cgroup" and not cgroup_writable():
            raise Skip("tree=cgroup needs a writable cgroup v2")
        procs.become_subreaper()
        self.spawn()
        with self.connect_once_up() as client:
            self.document = Document(client.call("rpc.discover"))
        return self

    def client(self, **more):
        client = Client(self.socket, self.document, **more)
        self.clients.append(client)
        return client

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.abandon()
            raise

    def abandon(self):
        """The end after a failure: no further complaints, but nothing stays."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        procs.reap_orphans(5)
        if os.path.exists(self.log):
            sys.stderr.write(self.errors().decode(errors="replace")[-4000:])
        self.remove()

    def remove(self):
        for client in self.clients:
            client.close()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def terminate(self):
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(GUARD)

    def __exit__(self, kind, value, trace):
        if value is not None:
            self.abandon()
            return
        try:
            status = self.process.returncode if self.process.returncode is not None else self.terminate()
            left = procs.reap_orphans()
            reports = sanitizer_reports(self.errors())
            assert not reports, "\n" + self.errors().decode(errors="replace")
            if self.expect_clean:
                assert status == 0, f"supd ended with {status}:\n" + self.errors().decode(errors="replace")
                assert not left, f"left behind by supd: {left}"
        except BaseException:
            self.abandon()
            raise
        self.remove()

    def client_of(self, user, **more):
        """A connection of another user of the machine."""
        with acting_as(user):
            return self.client(**more)

    # supctl against this daemon.

    def supctl_words(self, *words):
        return [PUBLIC_SUPCTL, "--socket", self.socket, *map(str, words)]

    def supctl_start(self, *words, **more):
        """supctl as a running process, its streams in pipes unless said otherwise."""
        for name in ("stdout", "stderr"):
            more.setdefault(name, subprocess.PIPE)
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.supctl_words(*words), **more)

    def supctl(self, *words, **more):
        """supctl to its end: returncode, stdout and stderr as bytes."""
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self.supctl_words(*words), capture_output=True, timeout=GUARD, **more)
        assert not sanitizer_reports(done.stderr), done.stderr.decode(errors="replace")
        return done


@contextlib.contextmanager
def acting_as(user):
    """The process has the effective ids of that user meanwhile: who connects is told by them."""
    record = pwd.getpwnam(user)
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(user, record.pw_gid))
    os.setegid(record.pw_gid)
    os.seteuid(record.pw_uid)
    try:
        yield record
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


class SystemDaemon(Daemon):
    """supd as root's for the machine, in a directory that everybody may look into."""

    def __init__(self, options=(), access=None, **more):
        needs_root()
        super().__init__(options, **more)
        os.chmod(self.directory, 0o755)
        self.access = access

    def command(self):
        return [word if word != "--user" else "--system" for word in super().command()]

    def spawn(self, **more):
        self.configure(self.access)
        return super().spawn(**more)

    def configure(self, access):
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"access": access} if access is not None else {}, file)


class OwnDaemon(Daemon):
    """A user's own, with no more rights than the user's jobs have."""

    def __init__(self, user, **more):
        needs_root()
        super().__init__(**more)
        self.user = pwd.getpwnam(user)
        os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.directory, 0o755)

    def spawn(self, **more):
        return super().spawn(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[], **more)

    def connect_once_up(self):
        with acting_as(self.user.pw_name):
            return super().connect_once_up()


def system_test(function):
    """A test that gets the machine's daemon and a client of each of two users who are not root."""
    def test():
        with SystemDaemon() as daemon:
            function(daemon, daemon.client_of(ANN), daemon.client_of(BOB))
    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.__module__ = function.__module__
    return test


def daemon_test(function):
    """A test that gets a fresh daemon and one client of it."""
    def test():
        with Daemon() as daemon:
            function(daemon, daemon.client())
    test.__name__ = function.__name__
    test.__doc__ = function.__doc__
    test.__module__ = function.__module__
    return test


def every_set(test):
    """Marks a test that is run with all settings, in a module that says the same with any (SETS = "any")."""
    test.every_set = True
    return test


def text(job, stream="stdout"):
    """What the job printed, as text, from its inline output."""
    return data_of(job[stream]).decode()


def assert_reason(job, reason, **expected):
    """The job is final for this reason, with these fields in its result."""
    assert job["state"] == "final", job
    result = job["result"]
    assert result["reason"] == reason, result
    for name, value in expected.items():
        assert result[name] == value, f"{name} is {result[name]!r} instead of {value!r}: {result}"


def assert_refused(error, code, field=None):
    """The error has this code and names this field."""
    assert error.code == code, error
    if field is not None:
        assert error.data.get("field") == field, f"names {error.data} instead of {field}"
